/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Every map, and what "full" means for it. All are pinned, mode 0600, and survive the agent.
 */
#ifndef MSP_MAPS_H
#define MSP_MAPS_H

#include "contract.h"
#include "kernel_types.h"

/* A hash, not an array: replacing its one element is atomic for readers, so no hook sees half of two settings. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct msp_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MSP_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* The agent's own sockets. Written by descriptor, by the agent alone. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} own_sockets SEC(".maps");

/* First station of a record: the connecting socket, from connect() until its SYN. No memory: the connect is refused. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct msp_record);
} connecting SEC(".maps");

/* What both ends of a connection see alike. The listener is part of it: clients of two listeners may share a port. */
struct msp_tuple {
	__u64 netns_cookie;
	__u32 client_addr;   /* network order */
	__u32 listener_addr; /* network order */
	__u16 client_port;   /* host order */
	__u16 listener_port; /* host order */
	__u32 reserved;
};

/* Second station: between the SYN and the listener's child. Not LRU: nobody can push out another's record. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MSP_IN_FLIGHT_PLACES);
	__type(key, struct msp_tuple);
	__type(value, struct msp_record);
} in_flight SEC(".maps");

/* How many records of a uid are in flight; at its bound the next connect of that uid is refused, no other's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MSP_IN_FLIGHT_PLACES);
	__type(key, __u32);
	__type(value, __s64);
} in_flight_of_uid SEC(".maps");

/*
 * How many of all uids but 0: one uid's bound says nothing about many. An array, whose element never goes: it is changed
 * by atomic additions only, and so cannot drift from what stands in in_flight.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __s64);
} in_flight_of_others SEC(".maps");

/* Last station: the accepted socket, for as long as it lives. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct msp_record);
} accepted SEC(".maps");

static __always_inline const struct msp_settings *current_settings(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&settings, &key);
}

/* `margin`: how far beyond the bounds it may go; none where a connect can still be refused. */
static __always_inline bool too_many_in_flight(__u32 uid, __s64 margin)
{
	__s64 *of_uid = bpf_map_lookup_elem(&in_flight_of_uid, &uid);
	__s64 *of_others;
	__u32 key = 0;

	if (of_uid && *of_uid >= (__s64)MSP_MAX_IN_FLIGHT_PER_UID + margin)
		return true;
	if (uid == 0)
		return false;
	of_others = bpf_map_lookup_elem(&in_flight_of_others, &key);
	return of_others && *of_others >= (__s64)MSP_MAX_IN_FLIGHT_OF_OTHERS + margin;
}

static __always_inline void count(__u32 index)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		*value += 1;
}

#endif

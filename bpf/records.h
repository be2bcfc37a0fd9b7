/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * How a record travels: connecting socket → in flight → accepted socket. It is never in two places that answer.
 */
#ifndef MSP_RECORDS_H
#define MSP_RECORDS_H

#include "maps.h"

static __always_inline void count_in_flight(__u32 uid, __s64 by)
{
	__s64 *have = bpf_map_lookup_elem(&in_flight_of_uid, &uid);
	__u32 key = 0;

	if (uid != 0) {
		__s64 *others = bpf_map_lookup_elem(&in_flight_of_others, &key);

		if (others)
			__sync_fetch_and_add(others, by);
	}
	if (!have) {
		if (by > 0)
			bpf_map_update_elem(&in_flight_of_uid, &uid, &by, BPF_NOEXIST);
		return;
	}
	__sync_fetch_and_add(have, by);
	/* Gone at zero: an update lost between two CPUs cannot add up. */
	if (by < 0 && *have <= 0)
		bpf_map_delete_elem(&in_flight_of_uid, &uid);
}

static __always_inline void forget(const struct msp_tuple *key, __u32 uid)
{
	if (bpf_map_delete_elem(&in_flight, key) == 0)
		count_in_flight(uid, -1);
}

/*
 * The client's end: its local port is known, nothing has been sent yet. Whether it is one of ours is asked before all
 * else: most are not.
 */
static __always_inline void on_syn(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct msp_record *rec, *stale;
	struct msp_tuple key = {};

	if (!sk)
		return;
	rec = bpf_sk_storage_get(&connecting, sk, 0, 0);
	if (!rec)
		return;
	key.netns_cookie = bpf_get_netns_cookie(ops);
	key.client_addr = ops->local_ip4;
	key.client_port = ops->local_port;
	key.listener_addr = ops->remote_ip4;
	key.listener_port = bpf_ntohl(ops->remote_port);
	stale = bpf_map_lookup_elem(&in_flight, &key);
	if (stale)
		forget(&key, stale->uid);
	/* Again: connect() may have been long ago, many SYNs that were put off come at once. */
	if (!too_many_in_flight(rec->uid, MSP_IN_FLIGHT_MARGIN) &&
	    bpf_map_update_elem(&in_flight, &key, rec, BPF_NOEXIST) == 0) {
		count_in_flight(rec->uid, 1);
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	} else {
		count(MSP_COUNT_RECORD_LOST);
	}
	bpf_sk_storage_delete(&connecting, sk);
}

static __always_inline bool at_listener(__u32 addr, __u16 port)
{
	const struct msp_settings *set = current_settings();
	__u32 i;

	for (i = 0; set && i < MSP_MAX_LISTENERS; i++) {
		if (i >= set->listener_count)
			break;
		if (set->listeners[i].addr == addr && set->listeners[i].port == port)
			return true;
	}
	return false;
}

/* The listener's child is there: the record stays with it, whatever becomes of the client. */
static __always_inline void on_child(struct bpf_sock_ops *ops)
{
	struct msp_tuple key = {
		.client_addr = ops->remote_ip4,
		.client_port = bpf_ntohl(ops->remote_port),
		.listener_addr = ops->local_ip4,
		.listener_port = ops->local_port,
	};
	struct bpf_sock *sk = ops->sk;
	struct msp_record *rec;

	if (!sk || !at_listener(key.listener_addr, key.listener_port))
		return;
	key.netns_cookie = bpf_get_netns_cookie(ops);
	rec = bpf_map_lookup_elem(&in_flight, &key);
	if (!rec)
		return;
	if (!bpf_sk_storage_get(&accepted, sk, rec, BPF_SK_STORAGE_GET_F_CREATE))
		count(MSP_COUNT_RECORD_LOST);
	forget(&key, rec->uid);
}

/* The client's end is gone; only connects that never got through still have something here. */
static __always_inline void on_client_closed(struct bpf_sock_ops *ops)
{
	struct msp_tuple key = {
		.netns_cookie = bpf_get_netns_cookie(ops),
		.client_addr = ops->local_ip4,
		.client_port = ops->local_port,
		.listener_addr = ops->remote_ip4,
		.listener_port = bpf_ntohl(ops->remote_port),
	};
	struct msp_record *rec = bpf_map_lookup_elem(&in_flight, &key);

	if (rec && rec->socket_cookie == bpf_get_socket_cookie(ops))
		forget(&key, rec->uid);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole contract between the kernel side (bpf/) and user space.
 * Included by BPF C and by C++; fixed-width fields only, sizes and offsets asserted on both sides.
 * Byte order: host order, except where a field says "network order". Times are CLOCK_BOOTTIME nanoseconds.
 */
#ifndef MSP_CONTRACT_H
#define MSP_CONTRACT_H

#ifdef __cplusplus
#include <cstddef>
#include <cstdint>
#define MSP_U8 std::uint8_t
#define MSP_U16 std::uint16_t
#define MSP_U32 std::uint32_t
#define MSP_U64 std::uint64_t
#define MSP_ASSERT static_assert
#define MSP_OFFSET(type, field) offsetof(type, field)
#else
#include <linux/types.h>
#define MSP_U8 __u8
#define MSP_U16 __u16
#define MSP_U32 __u32
#define MSP_U64 __u64
#define MSP_ASSERT _Static_assert
#define MSP_OFFSET(type, field) __builtin_offsetof(type, field)
#endif

/*
 * Of all that stays pinned when the agent ends: maps, what is in them, and where the programs hang. Whatever of it changes
 * raises the version; bpf/layouts/ has each version's, and a test compares. The two bounds say between which versions one
 * may take over from the other while connections are open (docs/decisions/contract-versions.md).
 */
#define MSP_CONTRACT_VERSION 2u
#define MSP_CONTRACT_TAKES_FROM 1u /* the oldest version whose pins this one takes over */
#define MSP_CONTRACT_LEAVES_TO 2u  /* the oldest version that may take over this one's */

/* Of msp_record alone: a record outlives the program that wrote it, with the connection that it is of. */
#define MSP_RECORD_VERSION 1u

/* getsockopt(fd, MSP_SOL, MSP_SO_RECORD): answered from the accepted socket's storage, never by the kernel itself. */
#define MSP_SOL 0x4d53
#define MSP_SO_RECORD 1

#define MSP_MAX_GROUPS 32u
#define MSP_PATH_SIZE 640u
#define MSP_NAME_SIZE 256u /* one path component with its NUL: what the kernel allows */
#define MSP_MAX_PATH_DEPTH 24u
#define MSP_MAX_GUARDED 16u
#define MSP_MAX_LISTENERS 4u

/*
 * Connects that have not reached the accepting side yet: in all, and of one uid. Full means refused, at connect().
 * Real uid 0 has its own part of them, as many as one uid may have: nobody else can take those.
 */
#define MSP_MAX_IN_FLIGHT 8192u
#define MSP_MAX_IN_FLIGHT_PER_UID 1024u
#define MSP_MAX_IN_FLIGHT_OF_OTHERS (MSP_MAX_IN_FLIGHT - MSP_MAX_IN_FLIGHT_PER_UID)

/*
 * A connect is let through before its SYN takes a place. The margin is for those that stand in between; a SYN beyond it
 * (of a socket that put its SYN off) goes without a record, and is answered as a caller without identity. Twice the
 * margin, for uid 0 and for the others, and as much again for SYNs that look at the same moment: the map never fills.
 */
#define MSP_IN_FLIGHT_MARGIN 512u
#define MSP_IN_FLIGHT_PLACES (MSP_MAX_IN_FLIGHT + 4 * MSP_IN_FLIGHT_MARGIN)

enum msp_record_flags {
	MSP_RECORD_MORE_GROUPS = 1u << 0,    /* the task has more supplementary groups than fit */
	MSP_RECORD_NO_EXE = 1u << 1,         /* no executable is known */
	MSP_RECORD_PATH_TRUNCATED = 1u << 2, /* the components nearest the root are missing */
	MSP_RECORD_EXE_DELETED = 1u << 3,    /* the executable has no link any more */
	MSP_RECORD_INET6 = 1u << 4,          /* connected through an AF_INET6 socket (v4-mapped) */
	MSP_RECORD_DIRECT = 1u << 5,         /* the original destination is the listener itself */
	MSP_RECORD_USERNS = 1u << 6,         /* the task's user namespace is not the initial one */
	MSP_RECORD_KERNEL = 1u << 7,         /* a kernel thread: nobody stands behind it */
	MSP_RECORD_DETACHED = 1u << 8,       /* path does not end at a root (memfd, unmounted tree) */
};

/*
 * Asked of msp_read_file (BPF_PROG_RUN): what the kernel calls the file behind one of the caller's descriptors, in the
 * words of a record. inode 0: there is no such descriptor.
 */
struct msp_file_view {
	MSP_U32 fd;
	MSP_U32 dev;
	MSP_U64 inode; /* as msp_record.exe_inode */
	MSP_U64 ino;
	MSP_U64 time_ns; /* when it was read */
};

/* Who connected: taken on the connecting task at connect time. */
struct msp_record {
	MSP_U32 version; /* MSP_RECORD_VERSION */
	MSP_U32 flags;   /* enum msp_record_flags */
	MSP_U64 time_ns;
	MSP_U64 socket_cookie;
	MSP_U64 netns_cookie;
	MSP_U64 start_time_ns; /* of the thread group leader */
	MSP_U64 cgroup_id;     /* cgroup v2 */
	MSP_U64 exe_inode;     /* address of the inode: compared with held pins only, never shown */
	MSP_U64 exe_ino;
	MSP_U32 exe_dev; /* kernel encoding: major << 20 | minor */
	MSP_U32 tgid;    /* initial pid namespace */
	MSP_U32 tid;
	MSP_U32 uid; /* real uid, initial user namespace; 0 is elevated */
	MSP_U32 euid;
	MSP_U32 gid;
	MSP_U32 egid;
	MSP_U32 pid_ns;
	MSP_U32 user_ns;
	MSP_U32 mnt_ns;
	MSP_U32 dst_addr; /* original destination, network order */
	MSP_U16 dst_port; /* host order */
	MSP_U16 path_len; /* used bytes of path */
	MSP_U32 group_count;
	MSP_U32 groups[MSP_MAX_GROUPS];
	char comm[16];
	/* Components, each ended by NUL, the deepest first: "curl\0bin\0usr\0". For logs; a name can lie. */
	char path[MSP_PATH_SIZE];
	MSP_U32 reserved;
};

/* Where guarded connects are sent to, and where accepted sockets get their records. */
struct msp_listener {
	MSP_U32 addr; /* network order */
	MSP_U16 port; /* host order */
	MSP_U16 reserved;
};

/* One guarded destination. */
struct msp_guarded {
	MSP_U32 addr;     /* network order */
	MSP_U16 port;     /* host order */
	MSP_U8 redirect;  /* 1: redirect, 0: leave alone (the slot is known, the gate is open) */
	MSP_U8 listener;  /* index into listeners */
};

/* What the hooks do; one element under key 0, replaced as a whole. */
struct msp_settings {
	MSP_U32 version;        /* MSP_CONTRACT_VERSION; at this place in every version */
	MSP_U32 guarded_count;  /* used elements of guarded */
	MSP_U32 listener_count; /* used elements of listeners */
	MSP_U32 leaves_to;      /* MSP_CONTRACT_LEAVES_TO; at this place from version 2 on */
	struct msp_listener listeners[MSP_MAX_LISTENERS];
	struct msp_guarded guarded[MSP_MAX_GUARDED];
};

/* Indexes of the per-CPU counters array (u64 each). */
enum msp_counter {
	MSP_COUNT_REDIRECTED,      /* connects sent to the listener */
	MSP_COUNT_DIRECT,          /* connects to the listener itself */
	MSP_COUNT_REFUSED_STORAGE, /* refused: no socket storage to be had */
	MSP_COUNT_REFUSED_SQUATTER, /* refused: somebody else's listener on our port */
	MSP_COUNT_REFUSED_FLOOD,   /* refused: too many connects in flight, of this uid or in all */
	MSP_COUNT_REFUSED_DEVICE,  /* refused: the socket could not be freed from its network device */
	MSP_COUNT_BIND_REFUSED,    /* bind to the listener's port by a stranger */
	MSP_COUNT_RECORD_LOST,     /* established, but the record could not be stored */
	MSP_COUNT_REFUSED_DATAGRAM, /* refused: not TCP, to a guarded destination */
	MSP_COUNT_MAX,
};

MSP_ASSERT(sizeof(struct msp_record) == 904, "msp_record size");
MSP_ASSERT(MSP_OFFSET(struct msp_record, exe_dev) == 64, "msp_record.exe_dev");
MSP_ASSERT(MSP_OFFSET(struct msp_record, groups) == 116, "msp_record.groups");
MSP_ASSERT(sizeof(struct msp_file_view) == 32, "msp_file_view size");
MSP_ASSERT(sizeof(struct msp_guarded) == 8, "msp_guarded size");
MSP_ASSERT(MSP_OFFSET(struct msp_record, comm) == 244, "msp_record.comm");
MSP_ASSERT(MSP_OFFSET(struct msp_record, path) == 260, "msp_record.path");
MSP_ASSERT(sizeof(struct msp_listener) == 8, "msp_listener size");
MSP_ASSERT(MSP_OFFSET(struct msp_settings, version) == 0, "msp_settings.version");
MSP_ASSERT(MSP_OFFSET(struct msp_settings, leaves_to) == 12, "msp_settings.leaves_to");
MSP_ASSERT(sizeof(struct msp_settings) == 16 + 8 * MSP_MAX_LISTENERS + 8 * MSP_MAX_GUARDED, "msp_settings size");

#endif

/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What happens at connect(), sendto() and bind(). Returns 1 to let the call go on, 0 to refuse it (EPERM).
 */
#ifndef MSP_REDIRECT_H
#define MSP_REDIRECT_H

#include "identity.h"
#include "maps.h"

/* What a destination is to us. */
struct target {
	const struct msp_listener *listener; /* where the connect ends up; NULL: not ours */
	bool direct;                         /* it is the listener itself */
};

static __always_inline bool is_own(struct bpf_sock *sk)
{
	return bpf_sk_storage_get(&own_sockets, sk, 0, 0) != NULL;
}

static __always_inline struct target find_target(const struct msp_settings *set, __u32 addr, __u16 port)
{
	struct target out = {};
	__u32 i;

	for (i = 0; i < MSP_MAX_GUARDED; i++) {
		const struct msp_guarded *g = &set->guarded[i];

		if (i >= set->guarded_count)
			break;
		if (g->addr != addr || g->port != port)
			continue;
		if (g->redirect && g->listener < MSP_MAX_LISTENERS)
			out.listener = &set->listeners[g->listener];
		return out;
	}
	for (i = 0; i < MSP_MAX_LISTENERS; i++) {
		const struct msp_listener *l = &set->listeners[i];

		if (i >= set->listener_count)
			break;
		if (l->addr != addr || l->port != port)
			continue;
		out.listener = l;
		out.direct = true;
		return out;
	}
	return out;
}

/*
 * A port that ip_local_port_range covers can be had by listen() without bind, past the bind hooks: what listens must
 * carry our mark. Nobody there is fine: the closed port refuses.
 */
static __always_inline bool listener_is_foreign(struct bpf_sock_addr *ctx, const struct msp_listener *listener)
{
	struct bpf_sock_tuple tuple = {
		.ipv4.daddr = listener->addr,
		.ipv4.dport = bpf_htons(listener->port),
	};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	bool own;

	if (!sk)
		return false;
	own = is_own(sk);
	bpf_sk_release(sk);
	return !own;
}

/* Writes the caller's record to the connecting socket. False: the connect must be refused. */
static __always_inline bool leave_record(struct bpf_sock_addr *ctx, __u32 addr, __u16 port, __u32 flags)
{
	struct msp_record *rec = bpf_sk_storage_get(&connecting, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!rec) {
		count(MSP_COUNT_REFUSED_STORAGE);
		return false;
	}
	rec->flags = flags;
	rec->socket_cookie = bpf_get_socket_cookie(ctx);
	rec->netns_cookie = bpf_get_netns_cookie(ctx);
	rec->dst_addr = addr;
	rec->dst_port = port;
	if (read_task(rec))
		return false;
	if (too_many_in_flight(rec->uid, 0)) {
		bpf_sk_storage_delete(&connecting, ctx->sk);
		count(MSP_COUNT_REFUSED_FLOOD);
		return false;
	}
	return true;
}

/*
 * A socket that is bound to a network device would send its SYN out there, towards 127.0.0.1, and hang. What it asked
 * for was a way to the metadata service: we are that way. The kernel lets only CAP_NET_RAW undo a binding: from others
 * the connect is refused at once.
 */
static __always_inline bool unbind_from_device(struct bpf_sock_addr *ctx)
{
	char none[4] = {};

	if (ctx->sk->bound_dev_if == 0 || ctx->sk->bound_dev_if == MSP_LOOPBACK_IFINDEX)
		return true;
	return bpf_setsockopt(ctx, MSP_SOL_SOCKET, MSP_SO_BINDTODEVICE, none, sizeof(none)) == 0;
}

/* *listener is set when the destination is to be rewritten. */
static __always_inline int on_connect(struct bpf_sock_addr *ctx, __u32 addr, __u16 port, __u32 flags,
				      const struct msp_listener **listener)
{
	const struct msp_settings *set = current_settings();
	struct target to = {};

	if (set)
		to = find_target(set, addr, port);
	if (to.listener && is_own(ctx->sk))
		return 1;
	/* Also on the way to anybody else: an earlier, failed connect of this socket may have left one. */
	bpf_sk_storage_delete(&connecting, ctx->sk);
	if (!to.listener)
		return 1;
	if (listener_is_foreign(ctx, to.listener)) {
		count(MSP_COUNT_REFUSED_SQUATTER);
		return 0;
	}
	if (!leave_record(ctx, addr, port, flags | (to.direct ? MSP_RECORD_DIRECT : 0)))
		return 0;
	if (!unbind_from_device(ctx)) {
		bpf_sk_storage_delete(&connecting, ctx->sk);
		count(MSP_COUNT_REFUSED_DEVICE);
		return 0;
	}
	count(to.direct ? MSP_COUNT_DIRECT : MSP_COUNT_REDIRECTED);
	if (!to.direct)
		*listener = to.listener;
	return 1;
}

/* What is not TCP cannot be led to the listener, and must not get past it: refused where TCP is redirected. */
static __always_inline int on_datagram(__u32 addr, __u16 port)
{
	const struct msp_settings *set = current_settings();
	struct target to = {};

	if (set)
		to = find_target(set, addr, port);
	if (!to.listener || to.direct)
		return 1;
	count(MSP_COUNT_REFUSED_DATAGRAM);
	return 0;
}

/* `any`: the wildcard address was asked for. */
static __always_inline int on_bind(struct bpf_sock_addr *ctx, __u32 addr, __u16 port, bool any)
{
	const struct msp_settings *set = current_settings();
	__u32 i;

	if (!set || port == 0)
		return 1;
	for (i = 0; i < MSP_MAX_LISTENERS; i++) {
		const struct msp_listener *l = &set->listeners[i];

		if (i >= set->listener_count)
			break;
		if (l->port != port || (!any && l->addr != addr))
			continue;
		if (is_own(ctx->sk))
			return 1;
		count(MSP_COUNT_BIND_REFUSED);
		return 0;
	}
	return 1;
}

static __always_inline bool is_tcp(struct bpf_sock_addr *ctx)
{
	return ctx->type == MSP_SOCK_STREAM &&
	       (ctx->protocol == MSP_IPPROTO_TCP || ctx->protocol == MSP_IPPROTO_MPTCP);
}

#endif

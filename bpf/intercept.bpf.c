// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * The hooks. Each returns at once for what is not ours; the work stands in the headers, by role.
 */
#include "records.h"
#include "redirect.h"

char LICENSE[] SEC("license") = "GPL";

#define V4_MAPPED_PREFIX bpf_htonl(0xffff)

static __always_inline bool is_v4_mapped(struct bpf_sock_addr *ctx)
{
	return !ctx->user_ip6[0] && !ctx->user_ip6[1] && ctx->user_ip6[2] == V4_MAPPED_PREFIX;
}

/*
 * What both ways of connect() look at is read once, before they part: the compiler would join two reads into one, through
 * a pointer that the verifier refuses.
 */
SEC("cgroup/connect4")
int msp_connect4(struct bpf_sock_addr *ctx)
{
	const struct msp_listener *to = NULL;
	__u32 addr = ctx->user_ip4;
	__u16 port = bpf_ntohs((__u16)ctx->user_port);

	if (!is_tcp(ctx))
		return on_datagram(addr, port);
	if (!on_connect(ctx, addr, port, 0, &to))
		return 0;
	if (to) {
		ctx->user_ip4 = to->addr;
		ctx->user_port = bpf_htons(to->port);
	}
	return 1;
}

SEC("cgroup/connect6")
int msp_connect6(struct bpf_sock_addr *ctx)
{
	const struct msp_listener *to = NULL;
	bool mapped = is_v4_mapped(ctx);
	__u32 addr = ctx->user_ip6[3];
	__u16 port = bpf_ntohs((__u16)ctx->user_port);

	if (!is_tcp(ctx))
		return mapped ? on_datagram(addr, port) : 1;
	if (!mapped) {
		bpf_sk_storage_delete(&connecting, ctx->sk);
		return 1;
	}
	if (!on_connect(ctx, addr, port, MSP_RECORD_INET6, &to))
		return 0;
	if (to) {
		ctx->user_ip6[3] = to->addr;
		ctx->user_port = bpf_htons(to->port);
	}
	return 1;
}

/* Datagrams that name their destination themselves: no connect() was asked. */
SEC("cgroup/sendmsg4")
int msp_sendmsg4(struct bpf_sock_addr *ctx)
{
	return on_datagram(ctx->user_ip4, bpf_ntohs((__u16)ctx->user_port));
}

/* Kernels so far bring the mapped ones of an AF_INET6 socket to sendmsg4; that is theirs to change. */
SEC("cgroup/sendmsg6")
int msp_sendmsg6(struct bpf_sock_addr *ctx)
{
	if (!is_v4_mapped(ctx))
		return 1;
	return on_datagram(ctx->user_ip6[3], bpf_ntohs((__u16)ctx->user_port));
}

SEC("cgroup/bind4")
int msp_bind4(struct bpf_sock_addr *ctx)
{
	if (!is_tcp(ctx))
		return 1;
	return on_bind(ctx, ctx->user_ip4, bpf_ntohs((__u16)ctx->user_port), ctx->user_ip4 == 0);
}

SEC("cgroup/bind6")
int msp_bind6(struct bpf_sock_addr *ctx)
{
	bool high_zero = !ctx->user_ip6[0] && !ctx->user_ip6[1];
	bool any = high_zero && (!ctx->user_ip6[2] || ctx->user_ip6[2] == V4_MAPPED_PREFIX) && !ctx->user_ip6[3];
	bool mapped = high_zero && ctx->user_ip6[2] == V4_MAPPED_PREFIX;

	if (!is_tcp(ctx) || !(any || mapped))
		return 1;
	return on_bind(ctx, ctx->user_ip6[3], bpf_ntohs((__u16)ctx->user_port), any);
}

SEC("sockops")
int msp_sockops(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		on_syn(ops);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		on_child(ops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ops->args[1] == MSP_TCP_CLOSE)
			on_client_closed(ops);
		break;
	}
	return 1;
}

/*
 * Run by the agent itself on a descriptor that it holds: the inode can then not be freed, and its address is nobody
 * else's as long as the descriptor is open.
 */
SEC("syscall")
int msp_read_file(struct msp_file_view *view)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(table, fd);
	struct file *file = NULL;
	struct inode *inode;
	__u32 fd = view->fd;

	view->inode = 0;
	if (fd >= BPF_CORE_READ(table, max_fds) || bpf_probe_read_kernel(&file, sizeof(file), slots + fd) || !file)
		return 0;
	inode = inode_of(file);
	view->ino = BPF_CORE_READ(inode, i_ino);
	view->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	view->time_ns = bpf_ktime_get_boot_ns();
	view->inode = (__u64)inode;
	return 0;
}

/* The data plane's only way to a record. Options of others keep the kernel's own answer (optlen 0). */
SEC("cgroup/getsockopt")
int msp_getsockopt(struct bpf_sockopt *ctx)
{
	struct msp_record *to = ctx->optval;
	struct msp_record *rec;

	if (ctx->level != MSP_SOL || ctx->optname != MSP_SO_RECORD || !ctx->sk || (void *)(to + 1) > ctx->optval_end)
		goto not_ours;
	rec = bpf_sk_storage_get(&accepted, ctx->sk, 0, 0);
	if (!rec)
		goto not_ours;
	__builtin_memcpy(to, rec, sizeof(*to));
	ctx->optlen = sizeof(*to);
	barrier(); /* the verifier refuses the two stores as one */
	ctx->retval = 0;
	return 1;
not_ours:
	ctx->optlen = 0;
	return 1;
}

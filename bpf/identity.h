/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Who the current task is, taken on the task itself: nothing is looked up afterwards, so exec, exit and the reuse of a
 * pid cannot change the answer.
 */
#ifndef MSP_IDENTITY_H
#define MSP_IDENTITY_H

#include "contract.h"
#include "exe_path.h"
#include "kernel_types.h"

static __always_inline void read_credentials(struct msp_record *rec, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct group_info *groups = BPF_CORE_READ(cred, group_info);
	__u32 have = BPF_CORE_READ(groups, ngroups);

	rec->uid = BPF_CORE_READ(cred, uid.val);
	rec->gid = BPF_CORE_READ(cred, gid.val);
	rec->euid = BPF_CORE_READ(cred, euid.val);
	rec->egid = BPF_CORE_READ(cred, egid.val);
	rec->user_ns = BPF_CORE_READ(cred, user_ns, ns.inum);
	if (rec->user_ns != MSP_INIT_USER_NS)
		rec->flags |= MSP_RECORD_USERNS;
	if (have > MSP_MAX_GROUPS) {
		have = MSP_MAX_GROUPS;
		rec->flags |= MSP_RECORD_MORE_GROUPS;
	}
	if (bpf_probe_read_kernel(rec->groups, have * sizeof(rec->groups[0]),
				  (void *)groups + bpf_core_field_offset(struct group_info, gid))) {
		have = 0;
		rec->flags |= MSP_RECORD_MORE_GROUPS;
	}
	rec->group_count = have;
}

static __always_inline __u32 pid_namespace_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid *own = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			   level * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(own, ns, ns.inum);
}

/* The same for a record and for a pin: the kernel's view is compared with the kernel's view. */
static __always_inline struct inode *inode_of(struct file *file)
{
	return BPF_CORE_READ(file, f_inode);
}

static __always_inline void read_executable(struct msp_record *rec, struct task_struct *task)
{
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct inode *inode;
	struct dentry *dentry;

	if (!exe) {
		rec->flags |= MSP_RECORD_NO_EXE;
		return;
	}
	inode = inode_of(exe);
	dentry = BPF_CORE_READ(exe, f_path.dentry);
	rec->exe_inode = (__u64)inode;
	rec->exe_ino = BPF_CORE_READ(inode, i_ino);
	rec->exe_dev = BPF_CORE_READ(inode, i_sb, s_dev);
	/* The inode may live on under another name: this name is gone all the same. */
	if (BPF_CORE_READ(inode, i_nlink) == 0 || !BPF_CORE_READ(dentry, d_hash.pprev))
		rec->flags |= MSP_RECORD_EXE_DELETED;
	read_exe_path(rec, exe);
}

/*
 * All of rec but the destination and the socket's part; rec is zeroed.
 * A global function: verified once, not again for every way that leads to it.
 */
__noinline int read_task(struct msp_record *rec)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 ids = bpf_get_current_pid_tgid();

	if (!rec)
		return -1;
	rec->version = MSP_RECORD_VERSION;
	rec->time_ns = bpf_ktime_get_boot_ns();
	rec->tgid = ids >> 32;
	rec->tid = (__u32)ids;
	rec->start_time_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	rec->cgroup_id = bpf_get_current_cgroup_id();
	rec->pid_ns = pid_namespace_of(task);
	rec->mnt_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	bpf_get_current_comm(rec->comm, sizeof(rec->comm));
	if (BPF_CORE_READ(task, flags) & MSP_PF_KTHREAD)
		rec->flags |= MSP_RECORD_KERNEL;
	read_credentials(rec, task);
	read_executable(rec, task);
	return 0;
}

#endif

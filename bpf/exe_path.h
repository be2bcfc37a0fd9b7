/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The executable's path, walked over dentries and mounts up to the root of its mount namespace, whatever root the task
 * has chosen for itself. Names only: they are for logs.
 */
#ifndef MSP_EXE_PATH_H
#define MSP_EXE_PATH_H

#include "contract.h"
#include "kernel_types.h"

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
};

/*
 * One component or one mount crossing. Returns 0 to go on, else the walk is over; rec->flags says how it ended.
 * What the loop carries stands in the record, not in registers: the verifier then sees one state a round, not a tree.
 */
static __always_inline int walk_step(struct path_walk *walk, struct msp_record *rec)
{
	struct dentry *dentry = walk->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount = walk->mount;
	__u64 used = rec->path_len;
	long got;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount)
			return 1;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return 0;
	}
	/* Room for any one component is left, so a name is never cut. */
	if (used > MSP_PATH_SIZE - MSP_NAME_SIZE) {
		rec->flags |= MSP_RECORD_PATH_TRUNCATED;
		return 1;
	}
	got = bpf_probe_read_kernel_str(rec->path + used, MSP_NAME_SIZE, BPF_CORE_READ(dentry, d_name.name));
	if (got <= 0) {
		rec->flags |= MSP_RECORD_PATH_TRUNCATED;
		return 1;
	}
	rec->path_len = used + got;
	if (parent == dentry) {
		rec->flags |= MSP_RECORD_DETACHED;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

/* Fills path and path_len; both are zero before. */
static __always_inline void read_exe_path(struct msp_record *rec, struct file *exe)
{
	struct vfsmount *mnt = BPF_CORE_READ(exe, f_path.mnt);
	struct path_walk walk = {
		.dentry = BPF_CORE_READ(exe, f_path.dentry),
		.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt),
	};
	int i;

	for (i = 0; i < (int)MSP_MAX_PATH_DEPTH; i++) {
		if (walk_step(&walk, rec))
			return;
	}
	rec->flags |= MSP_RECORD_PATH_TRUNCATED;
}

#endif

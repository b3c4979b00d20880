/* Values that hang on the kernel's objects. */
#include "../features.h"

#define storage_map(name, kind)                                                                                          \
	struct {                                                                                                         \
		number(type, kind);                                                                                      \
		number(map_flags, 1);                                                                                    \
		holds(key, int);                                                                                         \
		holds(value, struct note);                                                                               \
	} name SEC(".maps")

struct note { u64 when; u32 what; };

storage_map(of_sockets, SK_STORAGE);
storage_map(of_tasks, TASK_STORAGE);
storage_map(of_inodes, INODE_STORAGE);
storage_map(of_cgroups, CGRP_STORAGE);

SEC("tp_btf/sched_switch") int note(void *ctx)
{
	struct note *n = task_storage(&of_tasks, current_task_btf(), 0, 1);

	if (n)
		n->when = ktime();
	return 0;
}

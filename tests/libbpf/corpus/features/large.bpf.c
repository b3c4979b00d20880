/* Many instructions, with maps, variables and types of the kernel all the way. */
#include "../features.h"

struct list_head { struct list_head *next; } CORE;
struct mm_struct { unsigned long total_vm; } CORE;
struct task_struct {
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct mm_struct *mm;
	u64 start_time;
	u32 flags;
	struct list_head children;
} CORE;

struct {
	number(type, ARRAY);
	number(max_entries, 64);
	holds(key, u32);
	holds(value, u64);
} table SEC(".maps");

u64 variable;
volatile u32 key;

#define step                                                                                                             \
	{                                                                                                                \
		u32 k = key;                                                                                             \
		u64 *v = map_lookup(&table, &k);                                                                         \
		if (v)                                                                                                   \
			variable += *v + t->pid + t->real_parent->group_leader->tgid + t->mm->total_vm + t->start_time + \
				    t->flags + (long)t->children.next;                                                   \
	}
#define x5(s) s s s s s
#define x625(s) x5(x5(x5(x5(s))))

SEC("tp_btf/sched_switch") int much(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];

	x625(step)
	return 0;
}
SEC("?tp_btf/task_newtask") int as_much(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[0];

	x625(step)
	return 1;
}

#include "../link.h"
struct task_struct {
	int pid;
	int tgid;
	int prio;
} __attribute__((preserve_access_index));

static __noinline long offset(void) { return __builtin_preserve_field_info(((struct task_struct *)0)->prio, 0); }
SEC("raw_tp/sched_switch") int more(u64 *ctx)
{
	return offset() + __builtin_preserve_field_info(((struct task_struct *)0)->pid, 1);
}
char _license[] SEC("license") = "GPL";

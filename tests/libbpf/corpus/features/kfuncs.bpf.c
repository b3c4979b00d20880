/* Functions of the kernel: taken, weak and missing, flavoured, in several programs. */
#include "../features.h"

struct task_struct;
struct cgroup;
extern struct task_struct *bpf_task_acquire(struct task_struct *t) ksym;
extern void bpf_task_release(struct task_struct *t) ksym;
extern struct task_struct *bpf_task_from_pid(s32 pid) ksym;
extern struct task_struct *bpf_task_from_nowhere(s32 pid) ksym weak;
extern void bpf_rcu_read_lock(void) ksym weak;
extern void bpf_rcu_read_unlock(void) ksym weak;
extern struct task_struct *bpf_task_from_pid___v2(s32 pid) ksym weak;

static noinline void twice(struct task_struct *t)
{
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
}
SEC("syscall") int find(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (t) {
		twice(t);
		bpf_task_release(t);
	}
	if (bpf_task_from_nowhere && (t = bpf_task_from_nowhere(1)))
		bpf_task_release(t);
	return bpf_task_from_pid___v2 ? 1 : 0;
}
SEC("tp_btf/task_newtask") int born(u64 *ctx)
{
	if (bpf_rcu_read_lock)
		bpf_rcu_read_lock();
	twice((void *)ctx[0]);
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock();
	return 0;
}

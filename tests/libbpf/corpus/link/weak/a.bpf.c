#include "../link.h"
// Weak names give way to strong ones, and the first of two weak ones is taken. What gives way reads a kernel's struct.
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

__weak __noinline int choose(int x)
{
	struct task_struct *t = (void *)(long)x;
	return __builtin_preserve_field_info(t->pid, 0) + 1;
}
__weak __noinline int both(int x) { return x + 100; }
int level = 20;
__weak int same = 11;
int plain = 12;
__weak int missing(int x);

SEC("socket") int prog(struct __sk_buff *skb) { return choose(skb->len) + both(skb->mark) + level + same + plain; }
__weak SEC("socket") int overridden(struct __sk_buff *skb) { return 1; }
char _license[] SEC("license") = "GPL";

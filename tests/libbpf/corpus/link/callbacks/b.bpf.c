#include "../link.h"
static int add(u32 i, u64 *sum)
{
	*sum += 10;
	return 0;
}
static int stop(u32 i, u64 *sum)
{
	*sum += 1;
	return i == 2;
}
SEC("socket") int more(struct __sk_buff *skb)
{
	u64 sum = 0;
	bpf_loop(5, add, &sum, 0);
	bpf_loop(5, stop, &sum, 0);
	return sum;
}
char _license[] SEC("license") = "GPL";

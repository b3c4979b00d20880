#include "../link.h"
// Addresses of static functions that stand behind those of the first file.
static int add(u32 i, u64 *sum)
{
	*sum += i;
	return 0;
}
SEC("socket") int prog(struct __sk_buff *skb)
{
	u64 sum = 0;
	bpf_loop(5, add, &sum, 0);
	return sum;
}
char _license[] SEC("license") = "GPL";

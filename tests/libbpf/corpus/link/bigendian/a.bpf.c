/* The other byte order: immediates and types are read and written in it. target bpfeb */
#include "../link.h"
int there(int x);
extern u32 total;
static u32 hits;
static __noinline int helper(int x) { return x + 3; }
SEC("socket") int prog(struct __sk_buff *skb)
{
	hits++;
	return helper(there(skb->len)) + total + hits;
}
char _license[] SEC("license") = "GPL";

/* The half that is declared there. target bpfeb */
#include "../link.h"
u32 total = 0x01020304;
static u32 hits = 7;
static __noinline int helper(int x) { return x * 3; }
__noinline int there(int x) { return helper(x) + hits; }
SEC("socket") int more(struct __sk_buff *skb) { return helper(skb->len); }
char _license[] SEC("license") = "GPL";

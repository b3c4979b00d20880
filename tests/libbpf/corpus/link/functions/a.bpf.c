#include "../link.h"
// A function of the other file, static functions of the same names, programs of one section.
int twice(int x);

static __noinline int helper(int x) { return x + 3; }
__noinline int from_a(int x) { return helper(x) * 5; }

SEC("socket") int first(struct __sk_buff *skb) { return twice(skb->len) + helper(skb->mark); }
SEC("socket") int second(struct __sk_buff *skb) { return from_a(skb->len); }

char _license[] SEC("license") = "GPL";

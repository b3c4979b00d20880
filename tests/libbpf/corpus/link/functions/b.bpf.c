#include "../link.h"
int from_a(int y);

static __noinline int helper(int x) { return x - 1; }
static __noinline int other(int x) { return helper(x) ^ 0x55; }
__noinline int twice(int value) { return other(value) * 2; }

SEC("xdp") int third(struct __sk_buff *ctx) { return 2; }
SEC("socket") int fourth(struct __sk_buff *skb) { return from_a(skb->len) + helper(skb->mark); }

char _license[] SEC("license") = "GPL";

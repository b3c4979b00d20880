#include "../link.h"
__attribute__((visibility("internal"))) __noinline int f(int x) { return x + 1; }
SEC("socket") int prog(struct __sk_buff *skb) { return f(skb->len); }
char _license[] SEC("license") = "GPL";

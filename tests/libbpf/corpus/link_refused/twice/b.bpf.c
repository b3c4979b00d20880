#include "../../link/link.h"
__noinline int f(int x) { return x + 2; }
SEC("socket") int more(struct __sk_buff *skb) { return f(skb->len); }
char _license[] SEC("license") = "GPL";

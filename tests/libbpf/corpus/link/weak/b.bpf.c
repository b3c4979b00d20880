#include "../link.h"
__noinline int choose(int x) { return x * 7; }
__weak __noinline int both(int x) { return x + 200; }
int before = 1;
__weak int level = 30;
__weak int same = 21;

SEC("socket") int overridden(struct __sk_buff *skb) { return choose(skb->len) + both(2) + level + same + before; }
char _license[] SEC("license") = "GPL";

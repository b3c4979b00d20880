#include "../link.h"
int level(int x);
extern int shared;
__noinline int middle(int x) { return level(x) + 1; }
SEC("socket") int second(struct __sk_buff *skb) { return middle(skb->len) - shared; }
u32 _version SEC("version") = 0x60000;

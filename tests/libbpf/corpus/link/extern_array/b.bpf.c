#include "../link.h"
int before = 1;
int table[4] = { 1, 2, 3, 4 };
SEC("socket") int more(struct __sk_buff *skb) { return table[skb->mark & 3] + before; }
char _license[] SEC("license") = "GPL";

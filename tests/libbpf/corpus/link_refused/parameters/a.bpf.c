#include "../../link/link.h"
int f(int x, int y);
SEC("socket") int prog(struct __sk_buff *skb) { return f(skb->len, 1); }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
void f(int x);
SEC("socket") int prog(struct __sk_buff *skb) { f(skb->len); return 0; }
char _license[] SEC("license") = "GPL";

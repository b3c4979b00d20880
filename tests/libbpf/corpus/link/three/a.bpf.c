#include "../link.h"
// Three files, of which the last defines what the others declare.
int level(int x);
extern int shared;
SEC("socket") int prog(struct __sk_buff *skb) { return level(skb->len) + shared; }
char _license[] SEC("license") = "GPL";

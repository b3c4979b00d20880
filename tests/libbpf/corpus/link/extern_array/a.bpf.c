#include "../link.h"
// An array whose length only its own file knows.
extern int table[];
SEC("socket") int prog(struct __sk_buff *skb) { return table[skb->len & 3]; }
char _license[] SEC("license") = "GPL";

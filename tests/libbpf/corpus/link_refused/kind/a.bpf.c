#include "../../link/link.h"
extern int f;
SEC("socket") int prog(struct __sk_buff *skb) { return f; }
char _license[] SEC("license") = "GPL";

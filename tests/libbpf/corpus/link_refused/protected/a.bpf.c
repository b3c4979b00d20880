#include "../../link/link.h"
__attribute__((visibility("protected"))) int v = 1;
SEC("socket") int prog(struct __sk_buff *skb) { return v; }
char _license[] SEC("license") = "GPL";

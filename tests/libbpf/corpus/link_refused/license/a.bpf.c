#include "../../link/link.h"
SEC("socket") int prog(struct __sk_buff *skb) { return 0; }
char _license[] SEC("license") = "GPL";

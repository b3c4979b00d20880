#include "../../link/link.h"
const int c SEC("mine") = 1;
SEC("socket") int prog(struct __sk_buff *skb) { return 0; }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
int v = 3;
SEC("socket") int more(struct __sk_buff *skb) { return v; }
char _license[] SEC("license") = "GPL";

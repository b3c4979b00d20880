#include "../../link/link.h"
long long v = 1;
SEC("socket") int more(struct __sk_buff *skb) { return v; }
char _license[] SEC("license") = "GPL";

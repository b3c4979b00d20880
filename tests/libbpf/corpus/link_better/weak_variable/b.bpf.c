#include "../../link/link.h"
int before = 1;
int level = 20;
SEC("socket") int more(struct __sk_buff *skb) { return level + before; }
char _license[] SEC("license") = "GPL";

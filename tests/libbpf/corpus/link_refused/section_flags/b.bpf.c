#include "../../link/link.h"
int d SEC("mine") = 1;
SEC("socket") int more(struct __sk_buff *skb) { return 0; }
char _license[] SEC("license") = "GPL";

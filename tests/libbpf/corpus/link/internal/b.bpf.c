#include "../link.h"
SEC("socket") int more(struct __sk_buff *skb) { return 1; }
char _license[] SEC("license") = "GPL";

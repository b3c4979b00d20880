#include "../../link/link.h"
// A weak variable that gives way to one behind it: libbpf's DATASEC keeps the place of the first.
__weak int level = 10;
int plain = 12;
SEC("socket") int prog(struct __sk_buff *skb) { return level + plain; }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
extern int v IN(".kconfig");
SEC("socket") int prog(struct __sk_buff *skb) { return v; }
char _license[] SEC("license") = "GPL";

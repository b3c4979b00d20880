#include "../../link/link.h"
struct s { int a, c; };
struct s v = { 1, 2 };
SEC("socket") int more(struct __sk_buff *skb) { return v.c; }
char _license[] SEC("license") = "GPL";

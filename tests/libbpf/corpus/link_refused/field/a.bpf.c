#include "../../link/link.h"
struct s { int a, b; };
extern struct s v;
SEC("socket") int prog(struct __sk_buff *skb) { return v.a; }
char _license[] SEC("license") = "GPL";

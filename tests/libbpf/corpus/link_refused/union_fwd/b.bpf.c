#include "../../link/link.h"
union s { int a; };
union s *v;
SEC("socket") int more(struct __sk_buff *skb) { return v != 0; }
char _license[] SEC("license") = "GPL";

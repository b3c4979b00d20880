#include "../../link/link.h"
struct s;
extern struct s *v;
SEC("socket") int prog(struct __sk_buff *skb) { return v != 0; }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
enum e { ONE = 1 };
extern enum e v;
SEC("socket") int prog(struct __sk_buff *skb) { return v; }
char _license[] SEC("license") = "GPL";

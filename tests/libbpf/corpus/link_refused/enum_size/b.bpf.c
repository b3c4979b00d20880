#include "../../link/link.h"
enum e { ONE = 1, LARGE = 0x100000000 };
enum e v = ONE;
SEC("socket") int more(struct __sk_buff *skb) { return v != LARGE; }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
SEC("socket") int more(struct __sk_buff *skb) { return 0; }
char _license[] SEC("license") = "MIT";

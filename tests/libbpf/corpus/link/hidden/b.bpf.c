#include "../link.h"
__noinline int quiet(int x) { return x + 1; }
__hidden __noinline int spoken(int x) { return x + 2; }
int secret = 9;
int open = 10;
__hidden int shut = 11;
SEC("socket") int more(struct __sk_buff *skb) { return open + shut; }
char _license[] SEC("license") = "GPL";

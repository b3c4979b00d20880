#include "../link.h"
// Hidden in one file is hidden in all: the verifier then takes the function with its callers.
__hidden int quiet(int x);
int spoken(int x);
__hidden extern int secret;

SEC("socket") int prog(struct __sk_buff *skb) { return quiet(skb->len) + spoken(skb->mark) + secret; }
char _license[] SEC("license") = "GPL";

#include "../../link/link.h"
static int f(void *ctx) { return 1; }
static int g(void *ctx) { return 2; }
void *table[] = { f, g };
SEC("socket") int prog(struct __sk_buff *skb) { return table[skb->len & 1] != 0; }
char _license[] SEC("license") = "GPL";

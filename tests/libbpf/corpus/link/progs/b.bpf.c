#include "../link.h"
SEC("xdp.frags") int more_frags(void *ctx) { return 1; }
SEC("?xdp") int another(void *ctx) { return 1; }
SEC("cgroup_skb/ingress") int in(struct __sk_buff *skb) { return 1; }
SEC("tp/sched/sched_switch") int traced_too(void *ctx) { return 0; }
char _license[] SEC("license") = "GPL";

#include "../link.h"
// Programs of many sections, some in both files.
SEC("?xdp") int optional(void *ctx) { return 2; }
SEC("xdp.frags") int frags(void *ctx) { return 2; }
SEC("tp/sched/sched_switch") int traced(void *ctx) { return 0; }
SEC("cgroup_skb/egress") int out(struct __sk_buff *skb) { return 1; }
char _license[] SEC("license") = "GPL";

/* Sections whose names nearly or not at all mean something. */
#include "../core.h"

#define program(section, name) SEC(section) int name(void *ctx) { return 0; }

program("?socket/extra", p01)
program("?socketx", p02)
program("?xdp/other", p03)
program("?xdp_any", p04)
program("?kprobes/x", p05)
program("?kprobe.s/x", p06)
program("?nothing", p07)
program("?tracepoint_x", p08)
program("?cgroup/none", p09)
program("?sk_skb/other", p10)
program("?sk_skb/", p11)
program("?tp/", p12)
program("?tc/other", p13)
program("?perf_event/x", p14)
program("?sockops/x", p15)
program("?lsm/", p16)
program("?struct_ops/x", p17)
program("?struct_ops.s/y", p18)
program("?struct_ops.s", p19)
program("?Socket", p20)

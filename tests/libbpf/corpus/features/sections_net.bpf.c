/* Sections of programs for packets. */
#include "../core.h"

#define program(section, name) SEC(section) int name(void *ctx) { return 1; }

program("socket", p01)
program("tc", p02)
program("classifier", p03)
program("action", p04)
program("tc/ingress", p05)
program("tc/egress", p06)
program("tcx/ingress", p07)
program("tcx/egress", p08)
program("netkit/primary", p09)
program("netkit/peer", p10)
program("xdp", p11)
program("xdp.frags", p12)
program("lwt_in", p13)
program("lwt_out", p14)
program("lwt_xmit", p15)
program("lwt_seg6local", p16)
program("flow_dissector", p17)
program("sk_lookup", p18)
program("sk_reuseport", p19)
program("netfilter", p20)
program("lirc_mode2", p21)

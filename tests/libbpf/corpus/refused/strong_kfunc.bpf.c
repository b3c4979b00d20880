/* A function that the kernel does not have. */
#include "../features.h"

extern int bpf_skep_has_never_been(int x) ksym;
SEC("xdp") int use(void *ctx) { return bpf_skep_has_never_been(1); }

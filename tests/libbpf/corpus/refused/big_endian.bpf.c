/* For machines of the other byte order. target bpfeb */
#include "../features.h"

u32 n = 5;
SEC("xdp") int use(void *ctx) { return n++ & 1; }

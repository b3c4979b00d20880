/* Programs that stand in for functions of others. */
#include "../features.h"

int calls;
SEC("freplace/global_sum") int new_sum(void *p) { return ++calls; }
SEC("freplace/xdp_prog") int new_xdp(u32 *ctx) { return ctx[0] ? 2 : 1; }

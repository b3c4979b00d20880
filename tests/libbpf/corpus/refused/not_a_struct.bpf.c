/* A map that is an integer. */
#include "../features.h"

int m SEC(".maps") = 1;
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

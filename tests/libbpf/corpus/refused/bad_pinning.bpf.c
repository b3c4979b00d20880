/* A way of pinning that there is not. */
#include "../features.h"

struct { number(type, ARRAY); number(max_entries, 4); holds(key, u32); holds(value, u32); number(pinning, 2); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

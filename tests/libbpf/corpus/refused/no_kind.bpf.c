/* A map that does not say its type. */
#include "../features.h"

struct { number(max_entries, 1); holds(key, u32); holds(value, u32); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u32 key = 0; return map_lookup(&m, &key) != 0; }

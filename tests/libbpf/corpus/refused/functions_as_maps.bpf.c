/* A map of maps that is given functions. */
#include "../features.h"

struct { number(type, ARRAY_OF_MAPS); number(max_entries, 4); holds(key, u32); elements(int(void *)); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

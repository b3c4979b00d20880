/* A map of maps whose values are 8 bytes. */
#include "../features.h"

struct inner { number(type, ARRAY); number(max_entries, 4); holds(key, u32); holds(value, u32); };
struct { number(type, ARRAY_OF_MAPS); number(max_entries, 4); holds(key, u32); number(value_size, 8); elements(struct inner); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

/* Values that are maps in a map that cannot hold any. */
#include "../features.h"

struct inner { number(type, ARRAY); number(max_entries, 4); holds(key, u32); holds(value, u32); };
struct { number(type, ARRAY); number(max_entries, 4); holds(key, u32); elements(struct inner); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

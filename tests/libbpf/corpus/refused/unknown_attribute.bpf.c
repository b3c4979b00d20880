/* An attribute that nobody knows. */
#include "../features.h"

struct { number(type, ARRAY); number(max_entries, 1); holds(key, u32); holds(value, u32); number(colour, 3); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u32 key = 0; return map_lookup(&m, &key) != 0; }

/* A key whose size is said twice and differently. */
#include "../features.h"

struct { number(type, HASH); number(max_entries, 1); number(key_size, 8); holds(key, u32); holds(value, u32); } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

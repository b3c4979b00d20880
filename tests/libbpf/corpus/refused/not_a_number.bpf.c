/* A number that is a member of type int. */
#include "../features.h"

struct { number(type, HASH); int max_entries; holds(key, u32); holds(value, u32); } m SEC(".maps") = { .max_entries = 4 };
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

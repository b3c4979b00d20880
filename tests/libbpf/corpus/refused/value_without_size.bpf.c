/* A value of a type that is not complete. */
#include "../features.h"

struct opaque;
struct { number(type, HASH); number(max_entries, 4); holds(key, u32); struct opaque *value; } m SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&m, &key) != 0; }

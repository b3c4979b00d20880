/* New maps beside old ones. */
#include "../features.h"

struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SEC("maps") old = { ARRAY, 4, 8, 1 };
struct { number(type, ARRAY); number(max_entries, 4); holds(key, u32); holds(value, u32); } new SEC(".maps");
SEC("xdp") int use(void *ctx) { u64 key = 0; return map_lookup(&new, &key) != 0; }

/* Maps as they were defined before BTF. */
#include "../features.h"

struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SEC("maps") old = { ARRAY, 4, 8, 1 };

SEC("xdp") int use(void *ctx)
{
	u32 key = 0;

	return map_lookup(&old, &key) != 0;
}

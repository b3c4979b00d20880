/* The atomic addition that every instruction set has. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	holds(key, u32);
	holds(value, u64);
} total SEC(".maps");

u64 wide;
u32 narrow;

SEC("xdp") int add(void *ctx)
{
	u32 key = 0;
	u64 *v = map_lookup(&total, &key);

	if (v)
		__sync_fetch_and_add(v, 5);
	__sync_fetch_and_add(&wide, 1);
	__sync_fetch_and_add(&narrow, 2);
	return 2;
}

/* Memory of one node. */
#include "../features.h"

struct {
	number(type, HASH);
	number(max_entries, 8);
	number(map_flags, 4);
	number(numa_node, 0);
	holds(key, u32);
	holds(value, u32);
} here SEC(".maps");

struct {
	number(type, ARRAY);
	number(max_entries, 8);
	number(numa_node, 3);
	holds(key, u32);
	holds(value, u32);
} not_asked_for SEC(".maps");

SEC("sk_reuseport") int select(void *ctx)
{
	u32 key = 0;

	return map_lookup(&here, &key) && map_lookup(&not_asked_for, &key);
}

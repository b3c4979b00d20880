/* Tables that forget: common and per-CPU lists, and per-CPU values. */
#include "../features.h"

struct {
	number(type, LRU_HASH);
	number(max_entries, 512);
	holds(key, u64);
	holds(value, u64);
} common SEC(".maps");

struct {
	number(type, LRU_HASH);
	number(max_entries, 512);
	number(map_flags, 2);
	holds(key, u64);
	holds(value, u32);
} own_lists SEC(".maps");

struct {
	number(type, LRU_PERCPU_HASH);
	number(max_entries, 64);
	holds(key, u32);
	holds(value, u64);
} each_cpu SEC(".maps");

SEC("cgroup_skb/ingress") int remember(void *ctx)
{
	u64 key = ktime(), one = 1;

	map_update(&common, &key, &one, 0);
	map_update(&own_lists, &key, &one, 0);
	return map_lookup(&each_cpu, &key) != 0;
}

/* The older storage, whose keys name a cgroup. */
#include "../features.h"

struct key { u64 inode; u32 attach; };

struct {
	number(type, CGROUP_STORAGE);
	holds(key, struct key);
	holds(value, u64);
} shared SEC(".maps");

struct {
	number(type, PERCPU_CGROUP_STORAGE);
	holds(key, u64);
	holds(value, u32);
} each_cpu SEC(".maps");

struct {
	number(type, CGROUP_ARRAY);
	number(max_entries, 4);
	number(key_size, 4);
	number(value_size, 4);
} groups SEC(".maps");

static void *(*local_storage)(void *map, u64 flags) = (void *)81;

SEC("cgroup_skb/egress") int count(void *ctx)
{
	u64 *n = local_storage(&shared, 0);
	u32 *m = local_storage(&each_cpu, 0);

	*n += 1;
	*m += 1;
	return 1;
}

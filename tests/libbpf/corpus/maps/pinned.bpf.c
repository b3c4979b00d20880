/* A map that is found by its name, and one of maps. */
#include "../maps.h"

struct inner { __uint(type, ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); };
struct inner first SEC(".maps");

struct {
	__uint(type, ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
	__uint(pinning, 1);
} counts SEC(".maps");

struct {
	__uint(type, ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 2);
	__uint(pinning, 1);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { (void *)&first } };

SEC("socket") int count(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	return value ? ++*value : -1;
}

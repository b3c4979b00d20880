/* Maps of maps, with the inner map here or elsewhere, and with initial values. */
#include "../maps.h"

struct inner { __uint(type, ARRAY); __type(key, __u32); __type(value, __u64); __uint(max_entries, 7); };
struct inner first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [1] = (void *)&first, [3] = (void *)&second } };

struct {
	__uint(type, HASH_OF_MAPS);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 8);
	__array(values, struct {
		__uint(type, HASH);
		__uint(key_size, 8);
		__uint(value_size, 16);
		__uint(max_entries, 5);
		__uint(map_flags, 1);
	});
} hash SEC(".maps");

struct {
	__uint(type, HASH_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 8);
	__array(values, struct inner);
} filled SEC(".maps") = { .values = { (void *)&second, (void *)&first } };

SEC("socket") int look(void *ctx)
{
	__u32 key = 1;
	void *map = bpf_map_lookup_elem(&outer, &key);
	__u64 *value = map ? bpf_map_lookup_elem(map, &key) : 0;

	return value ? *value : -1;
}

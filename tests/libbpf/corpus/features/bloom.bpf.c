/* A number that only this type of map has: how many hashes. */
#include "../features.h"

struct {
	number(type, BLOOM_FILTER);
	number(max_entries, 1000);
	number(map_extra, 5);
	holds(value, u64);
} seen SEC(".maps");

SEC("socket") int look(void *ctx)
{
	u64 v = 7;

	return peek(&seen, &v) ? push(&seen, &v, 0) : 1;
}

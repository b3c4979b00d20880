/* Maps without keys. */
#include "../features.h"

struct {
	number(type, QUEUE);
	number(max_entries, 10);
	holds(value, u32);
} first_in SEC(".maps");

struct {
	number(type, STACK);
	number(max_entries, 20);
	number(value_size, 12);
} last_in SEC(".maps");

SEC("cgroup/skb") int swap(void *ctx)
{
	u32 v[3] = {};

	if (pop(&first_in, v) || peek(&last_in, v))
		return 0;
	return !push(&last_in, v, 2);
}

/* A value for each CPU: arrays and hash tables. */
#include "../features.h"

struct stats { u64 n; u8 odd[3]; };

struct {
	number(type, PERCPU_ARRAY);
	number(max_entries, 3);
	holds(key, int);
	holds(value, struct stats);
} slots SEC(".maps");

struct {
	number(type, PERCPU_HASH);
	number(max_entries, 30);
	number(map_flags, 1);
	holds(key, int);
	holds(value, struct stats);
} table SEC(".maps");

SEC("perf_event") int sample(void *ctx)
{
	int key = cpu_id();
	struct stats *s = map_lookup(&slots, &key);

	if (s)
		s->n++;
	return map_lookup(&table, &key) == 0;
}

/* Perf events: without a size of its own, and stacks. */
#include "../features.h"

struct {
	number(type, PERF_EVENT_ARRAY);
	number(key_size, 4);
	number(value_size, 4);
} events SEC(".maps");

struct {
	number(type, PERF_EVENT_ARRAY);
	number(max_entries, 2);
	holds(key, int);
	holds(value, u32);
} some SEC(".maps");

struct {
	number(type, STACK_TRACE);
	number(max_entries, 100);
	number(key_size, 4);
	number(value_size, 127 * 8);
} stacks SEC(".maps");

SEC("kprobe/do_nanosleep") int probe(void *ctx)
{
	long id = stack_id(ctx, &stacks, 0);

	return perf_output(ctx, &events, 0xffffffffULL, &id, sizeof(id)) + perf_output(ctx, &some, 0, &id, sizeof(id));
}

/* Tail calls: an array that the source fills with functions, and one that it leaves empty. */
#include "../features.h"

SEC("socket") int last(void *ctx) { return 3; }
SEC("socket") int next(void *ctx);

struct {
	number(type, PROG_ARRAY);
	number(max_entries, 5);
	number(key_size, 4);
	elements(int(void *));
} stages SEC(".maps") = { .values = { [0] = (void *)&next, [4] = (void *)&last } };

struct {
	number(type, PROG_ARRAY);
	number(max_entries, 2);
	holds(key, u32);
	number(value_size, 4);
} empty SEC(".maps");

SEC("socket") int next(void *ctx)
{
	tail_call(ctx, &stages, 4);
	return 2;
}
SEC("socket") int first(void *ctx)
{
	tail_call(ctx, &empty, 1);
	tail_call(ctx, &stages, 0);
	return 1;
}

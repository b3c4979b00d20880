/* Program arrays with initial values. */
#include "../maps.h"

int even(void *ctx);
int odd(void *ctx);

struct {
	__uint(type, PROG_ARRAY);
	__uint(key_size, 4);
	__uint(max_entries, 4);
	__array(values, int (void *));
} jumps SEC(".maps") = { .values = { [0] = (void *)&even, [3] = (void *)&odd } };

struct { __uint(type, PROG_ARRAY); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 2); } empty SEC(".maps");

SEC("socket") int even(void *ctx) { return 2; }
SEC("socket") int odd(void *ctx) { return 3; }
SEC("socket") int entry(void *ctx)
{
	bpf_tail_call(ctx, &jumps, 3);
	return 1;
}

/* A function that is no program in a program array. */
#include "../maps.h"

__attribute__((noinline)) int helper(void *ctx) { return 1; }
struct {
	__uint(type, PROG_ARRAY);
	__uint(key_size, 4);
	__array(values, int (void *));
} map SEC(".maps") = { .values = { (void *)&helper } };
SEC("socket") int prog(void *ctx) { return helper(ctx); }

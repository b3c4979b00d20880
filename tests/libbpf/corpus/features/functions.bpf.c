/* Functions that are verified on their own, that may be replaced, and that are hidden. */
#include "../features.h"

struct pair { int a, b; };

noinline int global_sum(struct pair *p) { return p ? p->a + p->b : 0; }
noinline weak int weak_one(int x) { return x + 1; }
noinline hidden int hidden_one(int x) { asm volatile(""); return x * 3; }
noinline int with_context(void *ctx tag("arg:ctx")) { return ctx != 0; }
noinline int sized(const char *p tag("arg:nonnull"), int n) { return n > 4 ? *p : 0; }
weak int unused_weak(void *ctx) { return 5; }

SEC("tc") int calls(void *ctx)
{
	struct pair p = { 1, 2 };
	char c[8] = "seven";

	return global_sum(&p) + weak_one(3) + hidden_one(4) + with_context(ctx) + sized(c, sizeof(c));
}
SEC("socket") int calls_program_like(void *ctx) { return with_context(ctx) + weak_one(1); }

/* A function that is called when a program throws, named by a tag. */
#include "../features.h"

extern void bpf_throw(u64 cookie) ksym;

noinline int handler(u64 cookie) { return cookie + 1; }
noinline int other_handler(u64 cookie) { return 7; }

static noinline int check(int x)
{
	if (x > 3)
		bpf_throw(11);
	return x;
}
tag("exception_callback:handler") SEC("tc") int throws(u32 *ctx) { return check(ctx[0]); }
tag("exception_callback:other_handler") SEC("tc") int throws_too(u32 *ctx)
{
	bpf_throw(ctx[1]);
	return 0;
}
SEC("tc") int without(u32 *ctx) { return check(ctx[0] & 1); }

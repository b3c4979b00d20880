/* Variables that only this file sees, some inside functions and with the same name. */
#include "../features.h"

static int count = 5;
static u64 zero;
static const volatile u32 fixed = 9;

static noinline int next(void)
{
	static int last = 100;

	return last++;
}
SEC("tcx/ingress") long a(void *ctx)
{
	static int last;

	return last++ + next() + count++ + zero++ + fixed;
}
SEC("tcx/egress") long b(void *ctx)
{
	static int last = 7;

	return last++ + next();
}

/* Tables that the compiler makes of switches: data without a name. */
#include "../features.h"

static noinline u32 value(u32 x)
{
	switch (x) {
	case 0: return 17;
	case 1: return 3;
	case 2: return 99;
	case 3: return 1234;
	case 4: return 5;
	case 5: return 77;
	case 6: return 8;
	}
	return 0;
}
SEC("sk_lookup") u32 entry(u32 *ctx) { return value(ctx[2]) & 1; }

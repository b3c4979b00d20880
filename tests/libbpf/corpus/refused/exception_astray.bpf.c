/* An exception callback that is named by a function which cannot throw for itself. */
#include "../features.h"

noinline int handler(u64 cookie) { return cookie; }
tag("exception_callback:handler") static noinline int inner(int x) { asm volatile(""); return x; }
SEC("tc") int throws(u32 *ctx) { return inner(ctx[0]); }

/* An exception callback that only this file sees. */
#include "../features.h"

__attribute__((used)) static noinline int handler(u64 cookie) { return cookie; }
tag("exception_callback:handler") SEC("tc") int throws(u32 *ctx) { return handler(ctx[0]); }

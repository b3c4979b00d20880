/* Two exception callbacks of one program. */
#include "../features.h"

noinline int a(u64 cookie) { return cookie; }
noinline int b(u64 cookie) { return cookie + 1; }
tag("exception_callback:a") tag("exception_callback:b") SEC("tc") int throws(u32 *ctx) { return 0; }

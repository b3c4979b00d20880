/* Lines of several files, some far away. */
#include "../features.h"

u64 n;
static noinline int generated(int x)
{
#line 60000 "made/elsewhere.y"
	n += x; return
#line 3 "made/header.h"
		n * 2;
}
#line 200 "made/elsewhere.y"
SEC("socket") int entry(void *ctx) { return generated(1)
#line 1000
	+ generated(2); }

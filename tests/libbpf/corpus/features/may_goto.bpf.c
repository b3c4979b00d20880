/* A loop that the kernel bounds. cpu v3 */
#include "../features.h"

u64 turns;

SEC("tc") int spin(void *ctx)
{
	for (;;) {
		asm volatile goto("may_goto %l[out]" : : : : out);
		turns++;
	}
out:
	return 0;
}

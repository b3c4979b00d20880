/* A jump over more than 32767 instructions. cpu v4 */
#include "../features.h"

volatile u32 selector;
volatile u64 sink;

#define x4(s) s s s s
#define x1024(s) x4(x4(x4(x4(x4(s)))))

SEC("socket") int far(void *ctx)
{
	if (selector == 3) {
		x1024(x4(x4(sink++;)))
		return 1;
	}
	return 2;
}

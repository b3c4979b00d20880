/* Indexing into variables, with offsets that the compiler folds into addresses. */
#include "../features.h"

struct row { u32 id; u64 cells[5]; };
struct row rows[16];
u8 bytes[4096] = { [4095] = 1 };
const volatile u32 at = 3;
static struct { u8 pad[300]; u32 tail; } odd;

SEC("raw_tp/sys_enter") long use(u64 *ctx)
{
	u32 i = ctx[1] & 15;

	rows[i].cells[2] += bytes[4095] + bytes[100];
	odd.tail++;
	return rows[7].cells[4] + rows[at & 15].id + odd.pad[i] + (long)&rows[15].cells[5];
}

/* Atomic operations that return what was there. cpu v3 */
#include "../features.h"

u64 wide;
u32 narrow;

SEC("raw_tp/sys_exit") long all(void *ctx)
{
	long r = 0;

	r += __sync_fetch_and_add(&wide, 1) + __sync_fetch_and_add(&narrow, 2);
	r += __sync_fetch_and_or(&wide, 4) + __sync_fetch_and_or(&narrow, 8);
	r += __sync_fetch_and_and(&wide, 16) + __sync_fetch_and_and(&narrow, 32);
	r += __sync_fetch_and_xor(&wide, 64) + __sync_fetch_and_xor(&narrow, 128);
	r += __sync_lock_test_and_set(&wide, 256) + __sync_lock_test_and_set(&narrow, 512);
	r += __sync_val_compare_and_swap(&wide, 1, 2) + __sync_val_compare_and_swap(&narrow, 3, 4);
	return r;
}

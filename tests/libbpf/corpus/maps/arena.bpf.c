/* An arena, by address, with variables in it. */
#include "../maps.h"

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, ARENA);
	__uint(map_flags, 1 << 10); /* BPF_F_MMAPABLE */
	__uint(max_entries, 100);
	__ulong(map_extra, 0x1ull << 44);
} arena SEC(".maps");

__u64 __arena counter = 40;
__u32 __arena numbers[1500];

SEC("syscall") int count(void *ctx)
{
	asm volatile("" :: "r"(&arena));
	counter += 2;
	numbers[1] = 7;
	return counter + numbers[1499];
}

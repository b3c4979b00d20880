/* Variables in the arena. cpu v3 */
#include "../features.h"

#define arena __attribute__((address_space(1)))

struct {
	number(type, ARENA);
	number(map_flags, 1 << 10);
	number(max_entries, 100);
} memory SEC(".maps");

struct item { u64 count; struct item arena *next; };
struct item arena first;
int arena numbers[4] = { 1, 2, 3 };
static u64 arena own;

SEC("syscall") long use(void *ctx)
{
	void *m = &memory;

	asm volatile("" : : "r"(m));
	first.count++;
	first.next = &first;
	own += numbers[2];
	return numbers[1];
}

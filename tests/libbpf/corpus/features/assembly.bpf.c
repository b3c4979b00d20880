/* Instructions that are written out, with maps, variables and functions in them. */
#include "../features.h"

struct {
	number(type, HASH);
	number(max_entries, 4);
	number(key_size, 4);
	number(value_size, 8);
} table SEC(".maps");

u64 value[2] = { 1, 2 };
__attribute__((used)) static int helper(int x) { return x; }

SEC("socket") __attribute__((naked)) int all(void *ctx)
{
	asm volatile("r1 = %[table] ll;"
		     "r2 = %[value] + 8 ll;"
		     "*(u32 *)(r10 - 4) = r1;"
		     "r2 = r10;"
		     "r2 += -4;"
		     "call 1;"
		     "if r0 == 0 goto +3;"
		     "r1 = 5;"
		     "call helper;"
		     "exit;"
		     "r0 = 0;"
		     "exit;"
		     : : "i"(&table), [table] "i"(&table), [value] "i"(&value));
}

/* Many instructions, with maps and variables all the way. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 64);
	holds(key, u32);
	holds(value, u64);
} table SEC(".maps");

u64 variable;
volatile u32 key;

#define step                                                                                                             \
	{                                                                                                                \
		u32 k = key;                                                                                             \
		u64 *v = map_lookup(&table, &k);                                                                         \
		if (v)                                                                                                   \
			variable += *v;                                                                                  \
	}
#define x5(s) s s s s s
#define x625(s) x5(x5(x5(x5(s))))

SEC("syscall") int much(void *ctx)
{
	x625(step)
	return 0;
}
SEC("?syscall") int as_much(void *ctx)
{
	x625(step)
	return 1;
}

/* Bit-fields in maps' values and in variables. */
#include "../features.h"

struct flags { u32 a : 1, b : 7, c : 13; s32 d : 5; u64 e : 40; u8 f; };
struct flags global = { .b = 3 };

struct {
	number(type, HASH);
	number(max_entries, 9);
	holds(key, struct flags);
	holds(value, struct flags);
} table SEC(".maps");

SEC("tc") int use(void *ctx)
{
	struct flags key = { .a = 1 }, *v = map_lookup(&table, &key);

	if (v)
		v->c += global.b++;
	return v ? v->d : 0;
}

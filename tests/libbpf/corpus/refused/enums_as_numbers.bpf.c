/* Numbers that are enums, 32 and 64 bits wide: what a pointer to an array cannot say. */
#include "../features.h"

struct {
	enum { kind = ARRAY } type;
	enum { many = 0x10000 } max_entries;
	enum { extra = 0x123456789abULL } map_extra;
	holds(key, u32);
	holds(value, u32);
} numbers SEC(".maps");

SEC("?socket") int use(void *ctx)
{
	u32 key = 0;

	return map_lookup(&numbers, &key) != 0;
}

/* Maps that say sizes and no types, and both where they agree. */
#include "../features.h"

struct {
	number(type, HASH);
	number(key_size, 6);
	number(value_size, 10);
	number(max_entries, 5);
} bare SEC(".maps");

struct {
	number(type, HASH);
	number(key_size, 4);
	holds(key, u32);
	holds(value, u64);
	number(value_size, 8);
	number(max_entries, 5);
} twice SEC(".maps");

struct sizes_of {
	number(type, ARRAY);
	number(max_entries, 5);
	number(key_size, sizeof(u32));
	number(value_size, 256);
};
/* Two of one type. */
struct sizes_of a SEC(".maps"), b SEC(".maps");

SEC("action") int use(void *ctx)
{
	u32 key[2] = {};

	return map_lookup(&bare, key) && map_lookup(&twice, key) && map_lookup(&a, key) && map_lookup(&b, key);
}

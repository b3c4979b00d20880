/* The outer map stands before the maps that it holds, which are static. */
#include "../features.h"

struct inner {
	number(type, LRU_HASH);
	number(max_entries, 16);
	number(key_size, 4);
	number(value_size, 4);
};
static struct inner a, b;

struct {
	number(type, HASH_OF_MAPS);
	number(max_entries, 3);
	number(key_size, 4);
	elements(struct inner);
} outer SEC(".maps") = { .values = { [0] = &a, [2] = &b } };

static struct inner a SEC(".maps"), b SEC(".maps");

SEC("classifier") int use(void *ctx)
{
	u32 key = 2;
	void *m = map_lookup(&outer, &key);

	return m && map_lookup(m, &key);
}

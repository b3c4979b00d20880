/* Maps of maps: by position with values, and by key without. */
#include "../features.h"

struct counts {
	number(type, ARRAY);
	number(max_entries, 4);
	holds(key, u32);
	holds(value, u64);
} one SEC(".maps"), two SEC(".maps");

struct {
	number(type, ARRAY_OF_MAPS);
	number(max_entries, 8);
	holds(key, u32);
	elements(struct counts);
} by_index SEC(".maps") = { .values = { [1] = &one, [6] = &two } };

struct {
	number(type, HASH_OF_MAPS);
	number(max_entries, 8);
	holds(key, u64);
	number(value_size, 4);
	__attribute__((unused)) struct {
		number(type, HASH);
		number(max_entries, 100);
		number(map_flags, 1);
		holds(key, u32);
		holds(value, struct counts);
	} *values[];
} by_key SEC(".maps");

SEC("xdp") int use(void *ctx)
{
	u64 key = 0;
	void *m = map_lookup(&by_index, &key), *n = map_lookup(&by_key, &key);
	u64 *v = m ? map_lookup(m, &key) : 0;

	return v ? *v : n ? !map_lookup(n, &key) : 1;
}

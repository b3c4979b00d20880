/* Longest prefixes. */
#include "../features.h"

struct prefix { u32 len; u8 address[16]; };

struct {
	number(type, LPM_TRIE);
	number(max_entries, 255);
	number(map_flags, 1);
	holds(key, struct prefix);
	holds(value, u32);
} routes SEC(".maps");

SEC("lwt_in") int route(void *ctx)
{
	struct prefix p = { .len = 128 };

	return map_lookup(&routes, &p) ? 0 : 2;
}

/* Maps that are found again by name. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	holds(key, u32);
	holds(value, u64);
	number(pinning, 1);
} skep_corpus_kept SEC(".maps");

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	holds(key, u32);
	holds(value, u64);
	number(pinning, 0);
} forgotten SEC(".maps");

SEC("lwt_out") int use(void *ctx)
{
	u32 key = 0;

	return map_lookup(&skep_corpus_kept, &key) && map_lookup(&forgotten, &key);
}

/* A module's functions beside maps: both stand in the list of descriptors. */
#include "../features.h"

extern int wheel_turn(int by) ksym;
struct {
	number(type, ARRAY);
	number(max_entries, 1);
	holds(key, u32);
	holds(value, u64);
} one SEC(".maps"), two SEC(".maps");
int seen;

SEC("syscall") int m_maps(void *ctx)
{
	u32 key = 0;
	u64 *a = map_lookup(&one, &key), *b = map_lookup(&two, &key);

	if (!a || !b)
		return wheel_turn(0);
	return seen += wheel_turn(*a + *b);
}

/* Functions whose address helpers take: loops, maps, timers, static and global. */
#include "../features.h"

struct timer { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_timer { u64 opaque[2]; } __attribute__((aligned(8)));
struct item { struct bpf_timer timer; u64 n; };

struct {
	number(type, ARRAY);
	number(max_entries, 4);
	holds(key, u32);
	holds(value, struct item);
} items SEC(".maps");

static int visit(void *map, u32 *key, struct item *value, u64 *ctx)
{
	*ctx += value->n;
	return 0;
}
static int fire(void *map, u32 *key, struct item *value)
{
	value->n++;
	return 0;
}
static long step(u32 i, u64 *ctx)
{
	*ctx += i;
	return 0;
}
SEC("tc") long run(void *ctx)
{
	u64 sum = 0;
	u32 key = 1;
	struct item *t = map_lookup(&items, &key);

	for_each(&items, visit, &sum, 0);
	loop(10, step, &sum, 0);
	if (t) {
		timer_init(&t->timer, &items, 1);
		timer_set_callback(&t->timer, fire);
		timer_start(&t->timer, 1000, 0);
	}
	return sum;
}
SEC("socket") long again(void *ctx)
{
	u64 sum = 0;

	loop(3, step, &sum, 0);
	return sum;
}

/* Relocations in functions that several programs share, beside maps and calls. */
#include "../core.h"

struct pair { int x, y; } CORE;
struct task { int pid; int state; } CORE;

struct {
	int (*type)[2];
	int (*max_entries)[4];
	u32 *key;
	u64 *value;
} counts SEC(".maps");

static void *(*lookup)(void *map, const void *key) = (void *)1;
int total = 3;

static noinline int in_text(struct pair *p) { return p->y + offset_of(p->x); }
noinline int global_one(struct task *t) { return t ? in_text((void *)t) + t->pid : 0; }

SEC("socket") int one(struct pair *p) { return in_text(p) + p->x; }
SEC("socket") int two(struct task *t)
{
	u32 key = t->state;
	u64 *v = lookup(&counts, &key);

	return global_one(t) + in_text((void *)t) + (v ? *v : total);
}
SEC("?socket") int off(struct pair *p) { return p->x + in_text(p); }

/* Fields, types and enumerators that are not there: poisoned, in every form of instruction. */
#include "../core.h"

struct absent { int x; u64 y; u32 bits : 3; } CORE;
struct pair { int x, y, never; } CORE;
enum color { RED, ULTRAVIOLET = 0x100000007ull };

SEC("socket") int load(struct absent *a) { return a->x; }
SEC("socket") int store(struct absent *a)
{
	a->x = 5;
	a->y = (long)a;
	return 0;
}
SEC("socket") long address(struct absent *a) { return (long)&a->y; }
SEC("socket") int member(struct pair *p) { return p->x + p->never; }
SEC("socket") long value(void *ctx) { return enum_value(enum color, ULTRAVIOLET); }
SEC("socket") long shift(struct absent *a) { return lshift(a->bits) + rshift(a->bits) + size_of(a->bits); }
SEC("socket") long zero(struct absent *a) { return type_size(struct absent) + type_id_target(struct absent) + exists(a->x); }

/* Names that mean something else in the target. */
#include "../core.h"

struct changed {
	int was_int;
	struct { int x; } was_struct;
	int was_array[4];
	void *was_ptr;
	enum e { A } was_enum;
	float was_float;
	struct { int y; } now_union;
} CORE;
union swapped { int x; } CORE;

SEC("socket") long there(struct changed *c)
{
	return exists(c->was_int) + 2 * exists(c->was_struct) + 4 * exists(c->was_struct.x) + 8 * exists(c->was_array[1]) +
	       16 * exists(c->was_ptr) + 32 * exists(c->was_enum) + 64 * exists(c->was_float) + 128 * exists(c->now_union.y);
}
SEC("socket") long reads(struct changed *c) { return c->was_int + c->was_struct.x + c->was_array[3]; }
SEC("socket") long swapped(union swapped *s) { return s->x + type_exists(union swapped); }

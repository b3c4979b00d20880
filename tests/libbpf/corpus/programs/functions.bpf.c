/* Pointers to functions as fields. */
#include "../core.h"

struct ops {
	int (*open)(void *, int);
	void (*close)(void *);
	const struct ops *next;
	int flags;
} CORE;
SEC("socket") long ops(struct ops *o) { return (long)o->open + (long)o->close + o->flags + (long)o->next->next; }
SEC("socket") long whole(void *ctx)
{
	return type_matches(struct ops) + 2 * type_exists(struct ops) + 4 * type_size(struct ops);
}

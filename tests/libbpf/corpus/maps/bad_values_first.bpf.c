/* Initial values before another attribute. */
#include "../maps.h"

struct {
	__uint(type, PROG_ARRAY);
	int (*values[0])(void *);
	__uint(key_size, 4);
} map SEC(".maps");

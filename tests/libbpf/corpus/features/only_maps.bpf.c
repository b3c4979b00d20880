/* No program at all. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	number(key_size, 4);
	number(value_size, 1);
} lonely SEC(".maps");

int alone = 1;

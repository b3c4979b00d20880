/* Values that are an array of some length. */
#include "../maps.h"

struct { __uint(type, PROG_ARRAY); __uint(key_size, 4); int (*values[2])(void *); } map SEC(".maps");

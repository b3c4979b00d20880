/* A key without a size. */
#include "../maps.h"

struct { __uint(type, ARRAY); void *key; __uint(value_size, 4); } map SEC(".maps");

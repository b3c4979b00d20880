/* A key that is not a pointer. */
#include "../maps.h"

struct { __uint(type, ARRAY); __u32 key; __uint(value_size, 4); } map SEC(".maps");

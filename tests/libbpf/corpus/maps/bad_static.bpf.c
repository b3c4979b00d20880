/* A static map. */
#include "../maps.h"

static struct { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); } map SEC(".maps");

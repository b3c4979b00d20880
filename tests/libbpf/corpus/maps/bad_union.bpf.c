/* A union of attributes. */
#include "../maps.h"

union { __uint(type, ARRAY); __uint(key_size, 4); } map SEC(".maps");

/* Two sizes of values. */
#include "../maps.h"

struct { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); __type(value, __u64); } map SEC(".maps");

/* Two sizes of keys. */
#include "../maps.h"

struct { __uint(type, ARRAY); __type(key, __u32); __uint(key_size, 8); __uint(value_size, 4); } map SEC(".maps");

/* Variables in an arena that there is not, beside another map. */
#include "../maps.h"

__u64 __attribute__((address_space(1))) counter = 40;
struct { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1); } map SEC(".maps");

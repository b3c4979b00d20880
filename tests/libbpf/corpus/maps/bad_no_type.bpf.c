/* No type. */
#include "../maps.h"

struct { __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1); } map SEC(".maps");

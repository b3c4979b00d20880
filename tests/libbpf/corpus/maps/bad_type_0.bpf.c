/* The type that is none. */
#include "../maps.h"

struct { __uint(type, 0); __uint(key_size, 4); __uint(value_size, 4); } map SEC(".maps");

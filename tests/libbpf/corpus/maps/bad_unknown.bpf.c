/* An attribute that nobody knows. */
#include "../maps.h"

struct { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); __uint(colour, 3); } map SEC(".maps");

/* A map in a map in a map. */
#include "../maps.h"

struct inner { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); };
struct middle { __uint(type, ARRAY_OF_MAPS); __uint(key_size, 4); __array(values, struct inner); };
struct { __uint(type, ARRAY_OF_MAPS); __uint(key_size, 4); __array(values, struct middle); } map SEC(".maps");

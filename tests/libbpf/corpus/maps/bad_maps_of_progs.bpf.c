/* A map of maps whose values are functions. */
#include "../maps.h"

struct { __uint(type, ARRAY_OF_MAPS); __uint(key_size, 4); __array(values, int (void *)); } map SEC(".maps");

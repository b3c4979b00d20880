/* Initial values of a hash. */
#include "../maps.h"

struct { __uint(type, HASH); __uint(key_size, 4); __array(values, int (void *)); } map SEC(".maps");

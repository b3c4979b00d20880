/* References of 8 bytes. */
#include "../maps.h"

struct { __uint(type, PROG_ARRAY); __uint(key_size, 4); __uint(value_size, 8); __array(values, int (void *)); } map SEC(".maps");

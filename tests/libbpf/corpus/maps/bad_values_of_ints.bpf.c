/* A program array of numbers. */
#include "../maps.h"

struct { __uint(type, PROG_ARRAY); __uint(key_size, 4); __array(values, int); } map SEC(".maps");

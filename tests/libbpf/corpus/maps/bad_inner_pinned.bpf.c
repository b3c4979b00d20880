/* An inner map that says that it is not pinned. */
#include "../maps.h"

struct {
	__uint(type, ARRAY_OF_MAPS);
	__uint(key_size, 4);
	__array(values, struct { __uint(type, ARRAY); __uint(pinning, 0); });
} map SEC(".maps");

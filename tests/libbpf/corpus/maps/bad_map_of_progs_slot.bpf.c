/* A program in a map of maps. */
#include "../maps.h"

SEC("socket") int prog(void *ctx) { return 1; }
struct inner { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); };
struct {
	__uint(type, ARRAY_OF_MAPS);
	__uint(key_size, 4);
	__array(values, struct inner);
} map SEC(".maps") = { .values = { (void *)&prog } };

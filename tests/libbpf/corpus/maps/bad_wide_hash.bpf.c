/* Initial values of a hash of maps with keys of 8 bytes. */
#include "../maps.h"

struct inner { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); } first SEC(".maps");
struct {
	__uint(type, HASH_OF_MAPS);
	__uint(key_size, 8);
	__array(values, struct inner);
} map SEC(".maps") = { .values = { (void *)&first } };

/* A map in a program array. */
#include "../maps.h"

struct { __uint(type, ARRAY); __uint(key_size, 4); __uint(value_size, 4); } first SEC(".maps");
struct {
	__uint(type, PROG_ARRAY);
	__uint(key_size, 4);
	__array(values, int (void *));
} map SEC(".maps") = { .values = { (void *)&first } };

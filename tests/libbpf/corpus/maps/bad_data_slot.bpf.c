/* A variable in a program array. */
#include "../maps.h"

int variable = 3;
struct {
	__uint(type, PROG_ARRAY);
	__uint(key_size, 4);
	__array(values, int (void *));
} map SEC(".maps") = { .values = { (void *)&variable } };

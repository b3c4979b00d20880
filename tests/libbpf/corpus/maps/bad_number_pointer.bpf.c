/* A number that points to a number. */
#include "../maps.h"

struct { __uint(type, ARRAY); int *max_entries; } map SEC(".maps");

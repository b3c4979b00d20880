/* A way to pin that there is not. */
#include "../maps.h"

struct { __uint(type, ARRAY); __uint(pinning, 2); } map SEC(".maps");

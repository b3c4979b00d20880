/* An enum of two values. */
#include "../maps.h"

struct { __uint(type, ARRAY); enum { X, Y } map_extra; } map SEC(".maps");

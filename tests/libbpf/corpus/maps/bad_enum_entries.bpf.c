/* A number of entries that is written as only map_extra may be. */
#include "../maps.h"

struct { __uint(type, ARRAY); __ulong(max_entries, 4); } map SEC(".maps");

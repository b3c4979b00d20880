/* An arena that is too small for its variables. */
#include "../maps.h"

struct { __uint(type, ARENA); __uint(map_flags, 1 << 10); __uint(max_entries, 1); } arena SEC(".maps");
__u64 __attribute__((address_space(1))) numbers[513] = { 1 };

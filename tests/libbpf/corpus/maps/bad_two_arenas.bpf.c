/* Two arenas. */
#include "../maps.h"

struct { __uint(type, ARENA); __uint(map_flags, 1 << 10); __uint(max_entries, 2); } one SEC(".maps"), two SEC(".maps");

/* Ring buffers are rounded to pages, also inside. */
#include "../maps.h"

struct { __uint(type, RINGBUF); __uint(max_entries, 0); } none SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 1); } one SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 4096); } page SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 12288); } three SEC(".maps");
struct { __uint(type, USER_RINGBUF); __uint(max_entries, 5000); } user SEC(".maps");
struct { __uint(max_entries, 100); __uint(type, RINGBUF); } before SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 0xffffffff); } huge SEC(".maps");
struct {
	__uint(type, ARRAY_OF_MAPS);
	__uint(key_size, 4);
	__uint(max_entries, 2);
	__array(values, struct { __uint(type, RINGBUF); __uint(max_entries, 100); });
} outer SEC(".maps");

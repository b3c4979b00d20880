/* Every attribute, in all the ways to say it. */
#include "../maps.h"

struct key { __u32 a, b; };
typedef struct { __u64 n; char text[8]; } value_t;
struct attributes { __uint(type, HASH); __uint(key_size, 4); __uint(value_size, 8); __uint(max_entries, 3); };
typedef struct attributes attributes_t;

struct {
	__uint(type, HASH);
	__uint(max_entries, 100);
	__uint(map_flags, 5);
	__uint(numa_node, 1);
	__uint(pinning, 1);
	__type(key, struct key);
	__type(value, value_t);
} full SEC(".maps");

struct {
	__uint(type, HASH);
	__uint(key_size, 8);
	__type(key, struct key);
	__type(value, value_t);
	__uint(value_size, 16);
	__uint(max_entries, 0);
	__uint(pinning, 0);
} twice SEC(".maps");

struct { __uint(type, BLOOM_FILTER); __uint(value_size, 8); __ulong(map_extra, 0x100000003ull); } wide SEC(".maps");
struct { __uint(type, BLOOM_FILTER); __uint(value_size, 8); __uint(map_extra, 3); } narrow SEC(".maps");
struct { __uint(type, PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
struct attributes named SEC(".maps");
attributes_t by_typedef SEC(".maps");
volatile struct attributes qualified SEC(".maps");
struct { __uint(type, 4711); __uint(map_flags, 0xffffffff); } strange SEC(".maps");
struct { __uint(type, ARRAY); __type(key, int); __type(value, __u8[3]); __uint(max_entries, 1 << 20); } bytes SEC(".maps");
struct { __uint(type, ARRAY); __type(key, const int); __type(value, enum one { A }); } odd_types SEC(".maps");
struct { __uint(type, ARRAY_OF_MAPS); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1); } bare SEC(".maps");

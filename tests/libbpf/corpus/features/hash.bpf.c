/* Hash tables: keys and values that are structs, one without preallocation. */
#include "../features.h"

struct flow { u32 from, to; u16 port; } ;
struct count { u64 packets, bytes; };

struct {
	number(type, HASH);
	number(max_entries, 1000);
	holds(key, struct flow);
	holds(value, struct count);
} flows SEC(".maps");

struct {
	number(type, HASH);
	number(map_flags, 1);
	number(max_entries, 77);
	holds(key, u16);
	holds(value, u8);
} ports SEC(".maps");

SEC("tc") int count(void *ctx)
{
	struct flow f = { .from = 1, .to = 2 };
	struct count *c = map_lookup(&flows, &f), fresh = { 1, 60 };
	u16 port = 80;
	u8 *seen = map_lookup(&ports, &port);

	if (!c)
		return map_update(&flows, &f, &fresh, 0);
	c->packets++;
	c->bytes += seen ? *seen : 0;
	return 0;
}

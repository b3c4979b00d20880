/* Map types, keys and values behind typedefs, `const` and `volatile`. */
#include "../features.h"

typedef u32 id_t;
typedef const volatile struct { id_t id; } boxed_t;
typedef u64 list_t[4];
typedef struct {
	number(type, ARRAY);
	number(max_entries, 6);
	holds(key, const id_t);
	holds(value, list_t);
} map_t;
map_t table SEC(".maps");

struct {
	number(type, HASH);
	number(max_entries, 6);
	holds(key, boxed_t);
	holds(value, void *);
} pointers SEC(".maps");

SEC("socket") int use(void *ctx)
{
	id_t key = 0;

	return map_lookup(&table, &key) && map_lookup(&pointers, &key);
}

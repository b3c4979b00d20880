/* Memory that program and user space share. cpu v3 */
#include "../features.h"

#define arena __attribute__((address_space(1)))

struct {
	number(type, ARENA);
	number(map_flags, 1 << 10);
	number(max_entries, 16);
	enum { where = 1ULL << 44 } map_extra;
} memory SEC(".maps");

struct node { struct node arena *next; u64 value; };
extern void arena *bpf_arena_alloc_pages(void *map, void arena *at, u32 pages, int node, u64 flags) ksym;
extern void bpf_arena_free_pages(void *map, void arena *at, u32 pages) ksym;

SEC("syscall") int use(void *ctx)
{
	struct node arena *n = bpf_arena_alloc_pages(&memory, 0, 1, -1, 0);

	if (n) {
		n->value = 7;
		bpf_arena_free_pages(&memory, n, 1);
	}
	return 0;
}

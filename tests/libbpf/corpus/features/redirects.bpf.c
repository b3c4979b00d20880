/* Where packets can go, and the programs that meet them there. */
#include "../features.h"

struct dev { u32 ifindex; int fd; };
struct cpu { u32 size; int fd; };

struct {
	number(type, DEVMAP);
	number(max_entries, 4);
	holds(key, u32);
	holds(value, struct dev);
} devices SEC(".maps");

struct {
	number(type, DEVMAP_HASH);
	number(max_entries, 4);
	holds(key, u32);
	number(value_size, 4);
} sparse SEC(".maps");

struct {
	number(type, CPUMAP);
	number(max_entries, 2);
	holds(key, u32);
	holds(value, struct cpu);
} cpus SEC(".maps");

struct {
	number(type, XSKMAP);
	number(max_entries, 64);
	holds(key, int);
	holds(value, int);
} rings SEC(".maps");

SEC("xdp") int split(u32 *ctx)
{
	switch (ctx[4] & 3) {
	case 0: return redirect_map(&devices, 1, 0);
	case 1: return redirect_map(&sparse, 100, 0);
	case 2: return redirect_map(&cpus, 0, 0);
	}
	return redirect_map(&rings, ctx[4], 2);
}
SEC("xdp/devmap") int at_device(void *ctx) { return 2; }
SEC("xdp/cpumap") int at_cpu(void *ctx) { return 2; }
SEC("xdp.frags") int pieces(void *ctx) { return 2; }
SEC("xdp.frags/devmap") int pieces_at_device(void *ctx) { return 2; }
SEC("xdp.frags/cpumap") int pieces_at_cpu(void *ctx) { return 2; }

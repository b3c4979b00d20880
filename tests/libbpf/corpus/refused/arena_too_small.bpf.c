/* Variables that do not fit into the arena. cpu v3 */
#include "../features.h"

struct { number(type, ARENA); number(map_flags, 1 << 10); number(max_entries, 1); } memory SEC(".maps");
int __attribute__((address_space(1))) many[3000] = { 1 };
SEC("syscall") int use(void *ctx) { asm volatile("" : : "r"(&memory)); return many[2000]; }

/* Two arenas. cpu v3 */
#include "../features.h"

struct { number(type, ARENA); number(map_flags, 1 << 10); number(max_entries, 4); } a SEC(".maps"), b SEC(".maps");
SEC("syscall") int use(void *ctx) { asm volatile("" : : "r"(&a), "r"(&b)); return 0; }

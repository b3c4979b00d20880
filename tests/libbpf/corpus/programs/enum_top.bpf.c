/* An unsigned enumerator above 2^31: the compiler writes it unsigned, libbpf expects it signed and refuses. */
#include "../core.h"

enum unsigned_high { TOP = 0xf0000000u };

SEC("socket") long top(void *ctx) { return enum_exists(enum unsigned_high, TOP) ? (long)enum_value(enum unsigned_high, TOP) : -1; }

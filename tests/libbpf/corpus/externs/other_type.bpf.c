#include "../core.h"
extern const struct { int x; } cpu_number __attribute__((section(".ksyms")));
SEC("socket") long variable(void *ctx) { return (long)&cpu_number; }

/* Static functions in sections of programs, called within and from outside. */
#include "../features.h"

#define in(s) __attribute__((section(s), used, __noinline__))

static in("xdp") int near(int x) { asm volatile(""); return x + 1; }
SEC("xdp") int first(void *ctx) { return near(1) & 1; }
SEC("xdp") int second(void *ctx) { return near(2) & 1; }
static in("tc") int other(int x) { asm volatile(""); return x + 2; }
SEC("tc") int third(void *ctx) { return other(near(3)); }

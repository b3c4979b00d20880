#include "../core.h"
extern struct { int x; } CONFIG_SMALL __attribute__((section(".kconfig")));
SEC("socket") long number(void *ctx) { return CONFIG_SMALL.x; }

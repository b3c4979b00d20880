#include "../core.h"
extern int CONFIG_THAT_NOBODY_HAS __attribute__((section(".kconfig")));
SEC("socket") long absent(void *ctx) { return CONFIG_THAT_NOBODY_HAS; }

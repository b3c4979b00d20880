#include "../core.h"
extern u8 CONFIG_WIDE __attribute__((section(".kconfig")));
SEC("socket") long wide(void *ctx) { return CONFIG_WIDE; }

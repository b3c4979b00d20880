#include "../core.h"
extern _Bool CONFIG_MODULE __attribute__((section(".kconfig")));
SEC("socket") long module(void *ctx) { return CONFIG_MODULE; }

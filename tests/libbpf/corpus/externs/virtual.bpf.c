#include "../core.h"
extern int LINUX_NOT_KNOWN __attribute__((section(".kconfig")));
SEC("socket") long unknown(void *ctx) { return LINUX_NOT_KNOWN; }

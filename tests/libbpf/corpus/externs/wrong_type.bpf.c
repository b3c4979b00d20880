#include "../core.h"
extern int CONFIG_TEXT __attribute__((section(".kconfig")));
SEC("socket") long text(void *ctx) { return CONFIG_TEXT; }

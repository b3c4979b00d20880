#include "../core.h"
extern const void no_such_symbol __attribute__((section(".ksyms")));
SEC("socket") long address(void *ctx) { return (long)&no_such_symbol; }

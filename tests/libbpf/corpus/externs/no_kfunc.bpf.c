#include "../core.h"
extern void bpf_no_such_kfunc(void) __attribute__((section(".ksyms")));
SEC("socket") long call(void *ctx) { bpf_no_such_kfunc(); return 0; }

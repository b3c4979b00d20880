#include "../core.h"
extern int bpf_rcu_read_lock(int, int) __attribute__((section(".ksyms")));
SEC("socket") long call(void *ctx) { return bpf_rcu_read_lock(1, 2); }

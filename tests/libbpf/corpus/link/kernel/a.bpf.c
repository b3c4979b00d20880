#include "../link.h"
// What the kernel has: configuration, symbols, functions; declared in both files.
extern int LINUX_KERNEL_VERSION IN(".kconfig");
extern u64 CONFIG_HZ IN(".kconfig");
extern const void bpf_prog_active IN(".ksyms") __weak;
extern const void init_task IN(".ksyms");

SEC("socket") int prog(struct __sk_buff *skb) { return LINUX_KERNEL_VERSION + CONFIG_HZ; }
SEC("raw_tp/sched_switch") int where(void *ctx) { return (long)&init_task && (long)&bpf_prog_active; }
char _license[] SEC("license") = "GPL";

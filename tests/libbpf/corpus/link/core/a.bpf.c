#include "../link.h"
// Relocations to the kernel's types, in both files and in sections that they share.
struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));
enum bpf_map_type { BPF_MAP_TYPE_RINGBUF = 1 };

static __noinline long offset(void) { return __builtin_preserve_field_info(((struct task_struct *)0)->tgid, 0); }
SEC("raw_tp/sched_switch") int prog(u64 *ctx)
{
	return offset() + __builtin_preserve_enum_value(*(typeof(enum bpf_map_type) *)BPF_MAP_TYPE_RINGBUF, 1);
}
char _license[] SEC("license") = "GPL";

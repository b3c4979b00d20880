#include "../link.h"
extern u64 CONFIG_HZ IN(".kconfig");
extern u8 CONFIG_SMP IN(".kconfig") __weak;
extern const void init_task IN(".ksyms");
void bpf_rcu_read_lock(void) IN(".ksyms");
void bpf_rcu_read_unlock(void) IN(".ksyms") __weak;

SEC("socket") int ticks(struct __sk_buff *skb) { return CONFIG_HZ + CONFIG_SMP; }
SEC("raw_tp/sched_switch") int there(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock();
	return (long)&init_task;
}
char _license[] SEC("license") = "GPL";

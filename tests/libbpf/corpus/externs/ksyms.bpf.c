/* Addresses, variables and functions of the running kernel; weak ones that are not there. */
#include "../core.h"

#define ksym __attribute__((section(".ksyms")))
#define weak __attribute__((weak))

struct rq { int any; };
extern const void _text ksym;
extern const void no_such_symbol ksym weak;
extern const struct rq runqueues ksym;
extern const int no_such_variable ksym weak;
extern const int cpu_number ksym;
extern void bpf_rcu_read_lock(void) ksym;
extern void bpf_rcu_read_unlock(void) ksym;
extern void bpf_no_such_kfunc(int) ksym weak;
extern void bpf_rcu_read_lock___flavoured(void) ksym weak;
extern int bpf_rcu_read_unlock___other(int, int) ksym weak;

SEC("socket") long addresses(void *ctx) { return (long)&_text + (long)&no_such_symbol; }
SEC("socket") long variables(void *ctx) { return (long)&runqueues + (long)&no_such_variable + (long)&cpu_number; }
SEC("socket") long functions(void *ctx)
{
	bpf_rcu_read_lock();
	if (bpf_no_such_kfunc)
		bpf_no_such_kfunc(1);
	bpf_rcu_read_unlock();
	bpf_rcu_read_lock___flavoured();
	if (bpf_rcu_read_unlock___other)
		bpf_rcu_read_unlock___other(1, 2);
	return (long)&bpf_rcu_read_lock;
}

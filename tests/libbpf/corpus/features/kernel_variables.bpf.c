/* Addresses and variables of the kernel; one that each CPU has. */
#include "../features.h"

struct rq { u64 nr_switches; } CORE;
extern const void _stext ksym;
extern const void _no_such_symbol ksym weak;
extern const struct rq runqueues ksym;
extern const int cpu_number ksym;
extern const int no_such_variable ksym weak;

SEC("raw_tp/sched_switch") long look(void *ctx)
{
	const struct rq *rq = this_cpu_ptr(&runqueues);
	const int *cpu = this_cpu_ptr(&cpu_number);

	return rq->nr_switches + *cpu + (long)&_stext + (&no_such_variable ? no_such_variable : 0) + (long)&_no_such_symbol;
}

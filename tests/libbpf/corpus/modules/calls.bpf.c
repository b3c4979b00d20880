/* Functions and variables of two modules, and of the kernel's own types in between. */
#include "../features.h"

struct engine { int speed; };
extern int engine_start(struct engine *e) ksym;
extern void engine_stop(struct engine *e) ksym weak;
extern void bpf_rcu_read_lock(void) ksym;
extern void bpf_rcu_read_unlock(void) ksym;
extern int wheel_turn(int by) ksym;
extern int wheel_turn___fast(int by) ksym;
extern const int engine_count ksym;
extern const struct engine wheel_engine ksym;
extern const int engine_nothing ksym weak;
extern int wheel_missing(int by) ksym weak;
extern int wheel_differs(struct engine *e) ksym weak;

SEC("syscall") int m_start(void *ctx)
{
	struct engine e = {};

	bpf_rcu_read_lock();
	if (engine_stop)
		engine_stop(&e);
	bpf_rcu_read_unlock();
	return engine_start(&e) + engine_count + (&engine_nothing ? engine_nothing : 0);
}
SEC("syscall") int m_turn(void *ctx)
{
	struct engine e = {};

	if (wheel_missing)
		return wheel_missing(1);
	if (wheel_differs)
		return wheel_differs(&e);
	return wheel_turn(1) + wheel_turn___fast(2) + wheel_engine.speed;
}
SEC("syscall") int m_both(void *ctx)
{
	struct engine e = { wheel_engine.speed };

	return wheel_turn(engine_start(&e)) + engine_count;
}
SEC("syscall") int m_neither(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

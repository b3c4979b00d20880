/* One kernel type, several local views of it. */
#include "../core.h"

struct task { int pid; int state; } CORE;
struct task___old { int pid; int __state; } CORE;
struct task___with___dots { int extra; } CORE;
struct __private___x { int value; } CORE;
struct only___flavoured { int value; } CORE;
union both___v1 { int left; } CORE;

SEC("socket") int state(struct task *t)
{
	struct task___old *old = (void *)t;

	if (exists(t->state))
		return t->state;
	if (exists(old->__state))
		return old->__state;
	return old->pid;
}
SEC("socket") int extra(struct task___with___dots *t) { return exists(t->extra) ? t->extra : 0; }
SEC("socket") int private(struct __private___x *p) { return p->value; }
SEC("socket") int only(struct only___flavoured *p) { return p->value; }
SEC("socket") int both(union both___v1 *p) { return p->left + type_size(union both___v1); }

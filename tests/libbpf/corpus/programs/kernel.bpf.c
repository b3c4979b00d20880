/* Types of the running kernel, as programs in the field read them. */
#include "../core.h"

struct list_head { struct list_head *next; } CORE;
struct cred { struct { u32 val; } uid; } CORE;
struct mm_struct { unsigned long total_vm; } CORE;
struct mm_struct___newer { struct { unsigned long total_vm; }; } CORE;
struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *real_parent, *group_leader;
	const struct cred *cred;
	struct mm_struct *mm;
	u64 start_time;
	u32 flags;
	struct list_head children;
	unsigned in_execve : 1;
	unsigned sched_reset_on_fork : 1;
} CORE;
struct task_struct___old { long state; } CORE;
struct task_struct___new { unsigned __state; } CORE;
struct sk_buff {
	u32 len, data_len;
	u16 protocol;
	u8 *head, *data;
	u8 pkt_type : 3, cloned : 1, ip_summed : 2;
	u16 network_header;
} CORE;
struct file { struct { struct dentry *dentry; } f_path; } CORE;
struct qstr { u32 len; } CORE;
struct dentry { struct qstr d_name; } CORE;
struct bpf_map { u32 max_entries; char name[16]; } CORE;
struct nothing_of_the_sort { int x; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 77, BPF_MAP_TYPE_RINGBUF = 78, BPF_MAP_TYPE_NEVER = 79 };
enum pid_type___mine { PIDTYPE_TGID = 9 };
struct trace_event_raw_sys_enter { long id; unsigned long args[6]; } CORE;
typedef u32 kuid_never_t;
typedef u32 gfp_t;

SEC("socket") long task(struct task_struct *t)
{
	struct task_struct___old *old = (void *)t;
	struct task_struct___new *new = (void *)t;
	long state = exists(new->__state) ? new->__state : exists(old->state) ? old->state : -1;

	return t->pid + t->tgid + t->comm[3] + t->real_parent->group_leader->pid + t->cred->uid.val + t->mm->total_vm +
	       t->start_time + t->flags + (long)t->children.next + state;
}
SEC("socket") long execve(struct task_struct *t)
{
	return offset_of(t->in_execve) + size_of(t->in_execve) * 3 + lshift(t->in_execve) * 5 + rshift(t->in_execve) * 7 +
	       offset_of(t->sched_reset_on_fork) * 11 + lshift(t->sched_reset_on_fork) * 13;
}
SEC("socket") long packet(struct sk_buff *s)
{
	return s->len + s->data_len + s->protocol + (s->data - s->head) + s->network_header + lshift(s->ip_summed) +
	       offset_of(s->pkt_type) + size_of(s->cloned) + rshift(s->cloned);
}
SEC("socket") long file(struct file *f) { return f->f_path.dentry->d_name.len; }
SEC("socket") long map(struct bpf_map *m) { return m->max_entries + m->name[2] + size_of(m->name); }
SEC("socket") long sys_enter(struct trace_event_raw_sys_enter *c) { return c->id + c->args[5]; }
SEC("socket") long kinds(void *ctx)
{
	return type_exists(struct nothing_of_the_sort) + type_size(struct task_struct) + type_id_target(struct sk_buff) +
	       type_exists(gfp_t) + type_exists(kuid_never_t) + type_matches(struct list_head) * 8 +
	       type_matches(struct cred) * 16 + type_exists(struct mm_struct___newer) * 32 + type_id_target(gfp_t) * 64;
}
SEC("socket") long values(void *ctx)
{
	return enum_value(enum bpf_map_type, BPF_MAP_TYPE_HASH) + enum_value(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF) * 256 +
	       enum_exists(enum bpf_map_type, BPF_MAP_TYPE_NEVER) + enum_value(enum pid_type___mine, PIDTYPE_TGID) * 65536;
}

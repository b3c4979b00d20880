/* Ring buffers of two sizes, and one that user space fills. */
#include "../features.h"

struct event { u32 pid; char name[16]; };

struct {
	number(type, RINGBUF);
	number(max_entries, 4096);
} small SEC(".maps");

struct {
	number(type, RINGBUF);
	number(max_entries, 1 << 20);
} big SEC(".maps");

struct {
	number(type, USER_RINGBUF);
	number(max_entries, 8192);
} inbox SEC(".maps");

SEC("tp/sched/sched_switch") int switched(void *ctx)
{
	struct event *e = reserve(&small, sizeof(*e), 0), copy = {};

	if (e) {
		e->pid = pid_tgid() >> 32;
		submit(e, 0);
	}
	return ring_output(&big, &copy, sizeof(copy), 0);
}

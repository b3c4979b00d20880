/* With and without a link; a program that two sets have. */
#include "../struct_ops.h"

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
	__u32 flags;
};

OPS struct tcp_congestion_ops plain = { REQUIRED, .name = "skep_plain" };
LINK struct tcp_congestion_ops linked = { REQUIRED, .name = "skep_linked", .flags = 1 };

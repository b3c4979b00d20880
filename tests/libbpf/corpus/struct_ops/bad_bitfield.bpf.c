/* A bit-field. */
#include "../struct_ops.h"

struct tcp_congestion_ops { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk); char name[16]; __u32 flags; __u32 key : 3; };


LINK struct tcp_congestion_ops mine = { REQUIRED, .name = "skep_bad" };

/* A flavour, in another order, with members that the kernel does not have and that are zero. */
#include "../struct_ops.h"

typedef struct tcp_congestion_ops___mine {
	char name[16];
	__u64 extra;
	void (*not_there)(void);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
} mine_t;

LINK mine_t mine = { REQUIRED, .name = "skep_mine" };

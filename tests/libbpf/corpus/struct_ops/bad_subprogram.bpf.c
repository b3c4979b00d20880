/* A function that is no program. */
#include "../struct_ops.h"

struct tcp_congestion_ops { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk); char name[16]; __u32 flags; void (*init)(struct sock *sk); };

static __attribute__((noinline)) void init(__u64 *ctx) { }
SEC("struct_ops") void other(__u64 *ctx) { init(ctx); }
LINK struct tcp_congestion_ops mine = { REQUIRED, .name = "skep_bad", .init = (void *)init };

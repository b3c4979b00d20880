/* A function that is static: libbpf takes no such program. */
#include "../struct_ops.h"

struct tcp_congestion_ops { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk); char name[16]; __u32 flags; void (*init)(struct sock *sk); };

SEC("struct_ops") static void init(__u64 *ctx) { }
LINK struct tcp_congestion_ops mine = { REQUIRED, .name = "skep_bad", .init = (void *)init };

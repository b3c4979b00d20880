/* A congestion control: two sections of operations, numbers and functions in them. */
#include "../features.h"

struct sock;
struct tcp_congestion_ops {
	u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
	u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
	u32 flags;
};

SEC("struct_ops/threshold") u32 threshold(u64 *ctx) { return 2; }
SEC("struct_ops") u32 undo(u64 *ctx) { return 10; }
SEC("struct_ops/cong_avoid") void avoid(u64 *ctx) {}

struct tcp_congestion_ops skep_a SEC(".struct_ops") = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
	.name = "skep_a",
};
struct tcp_congestion_ops skep_b SEC(".struct_ops.link") = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
	.name = "skep_b",
	.flags = 2,
};

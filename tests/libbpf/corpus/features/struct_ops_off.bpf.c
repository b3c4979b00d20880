/* Operations that are not created unless somebody says so. */
#include "../features.h"

struct sock;
struct tcp_congestion_ops {
	u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
	u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};

SEC("?struct_ops") u32 threshold(u64 *ctx) { return 2; }
SEC("struct_ops") u32 undo(u64 *ctx) { return 10; }
SEC("struct_ops") void avoid(u64 *ctx) {}

struct tcp_congestion_ops skep_off SEC("?.struct_ops.link") = { .ssthresh = (void *)threshold, .name = "skep_off" };
struct tcp_congestion_ops skep_on SEC(".struct_ops.link") = {
	.ssthresh = (void *)threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
	.name = "skep_on",
};

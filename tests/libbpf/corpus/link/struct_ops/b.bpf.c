#include "../link.h"
struct sock;
struct tcp_congestion_ops {
	u32 (*ssthresh)(struct sock *sk);
	u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};
u32 undo(u64 *ctx);
SEC("struct_ops") u32 other(u64 *ctx) { return 9; }
SEC(".struct_ops") struct tcp_congestion_ops second_ops = { .ssthresh = (void *)other, .name = "second" };
char _license[] SEC("license") = "GPL";

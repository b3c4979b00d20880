#include "../link.h"
// Operations of a struct, which data refers to by name.
struct sock;
struct tcp_congestion_ops {
	u32 (*ssthresh)(struct sock *sk);
	u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};
SEC("struct_ops") u32 threshold(u64 *ctx) { return 7; }
SEC("struct_ops") u32 undo(u64 *ctx) { return 8; }
SEC(".struct_ops") struct tcp_congestion_ops first_ops = { .ssthresh = (void *)threshold, .undo_cwnd = (void *)undo, .name = "first" };
char _license[] SEC("license") = "GPL";

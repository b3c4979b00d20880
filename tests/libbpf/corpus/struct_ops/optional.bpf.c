/* Sets that are not created by default, one of a structure that the kernel does not have. */
#include "../struct_ops.h"

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};
struct not_in_the_kernel { int (*call)(void); };

LINK struct tcp_congestion_ops wanted = { REQUIRED, .name = "skep_wanted" };
SEC("struct_ops") __u32 only_optional(__u64 *ctx) { return 2; }
SEC("?struct_ops") __u32 spare(__u64 *ctx) { return 2; }
SEC("struct_ops") int missing(__u64 *ctx) { return 2; }
SEC("?.struct_ops.link") struct tcp_congestion_ops unwanted = {
	.ssthresh = (void *)only_optional, .cong_avoid = (void *)cong_avoid, .name = "skep_unwanted"
};
SEC("?.struct_ops") struct not_in_the_kernel elsewhere = { .call = (void *)missing };
LINK struct tcp_congestion_ops also = { .ssthresh = (void *)spare, .name = "skep_also" };

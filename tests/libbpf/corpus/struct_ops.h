/* Words of the programs about struct_ops. Types are our own: what counts is what the kernel has of these names. */
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define OPS SEC(".struct_ops")
#define LINK SEC(".struct_ops.link")

struct sock;

char _license[] SEC("license") = "GPL";

SEC("struct_ops") __u32 ssthresh(__u64 *ctx) { return 2; }
SEC("struct_ops/undo") __u32 undo_cwnd(__u64 *ctx) { return 3; }
SEC("struct_ops") void cong_avoid(__u64 *ctx) { }

#define REQUIRED .ssthresh = (void *)ssthresh, .undo_cwnd = (void *)undo_cwnd, .cong_avoid = (void *)cong_avoid

/* Operations that hold a pointer to data. */
#include "../features.h"

struct sock;
struct tcp_congestion_ops { u32 (*ssthresh)(struct sock *sk); char name[16]; void *owner; };
int data = 1;
SEC("struct_ops") u32 threshold(u64 *ctx) { return 2; }
struct tcp_congestion_ops o SEC(".struct_ops") = { .ssthresh = (void *)threshold, .name = "skep", .owner = &data };

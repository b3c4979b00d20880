/* A structure without a name. */
#include "../struct_ops.h"

OPS struct { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk); __u32 (*undo_cwnd)(struct sock *sk); } mine = { REQUIRED };

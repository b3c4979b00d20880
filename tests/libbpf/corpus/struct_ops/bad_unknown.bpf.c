/* A structure that the kernel does not have. */
#include "../struct_ops.h"

struct nothing { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk); __u32 (*undo_cwnd)(struct sock *sk); };
OPS struct nothing mine = { REQUIRED };

/* A structure that the kernel has, but takes no programs for. */
#include "../struct_ops.h"

struct file_operations { __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk); __u32 (*undo_cwnd)(struct sock *sk); };
OPS struct file_operations mine = { REQUIRED };

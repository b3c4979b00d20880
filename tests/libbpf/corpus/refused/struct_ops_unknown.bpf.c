/* Operations that the kernel does not have. */
#include "../features.h"

struct skep_operations { int (*first)(void); };
SEC("struct_ops") int first(u64 *ctx) { return 0; }
struct skep_operations operations SEC(".struct_ops") = { .first = (void *)first };

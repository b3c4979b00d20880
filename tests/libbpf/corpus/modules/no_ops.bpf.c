/* Operations that no module asks for. */
#include "../features.h"

struct wheel_ops { int (*turn)(int by); };
SEC("struct_ops") int m_turn(u64 *ctx) { return 1; }

struct wheel_ops smooth SEC(".struct_ops") = { .turn = (void *)m_turn };

/* Operations that a module asks for. */
#include "../features.h"

struct engine;
struct engine_ops {
	int (*start)(struct engine *e);
	int (*stop)(struct engine *e);
	u32 gears;
};
SEC("struct_ops") int m_begin(u64 *ctx) { return 1; }
SEC("struct_ops") int m_end(u64 *ctx) { return 2; }

struct engine_ops quiet SEC(".struct_ops") = { .start = (void *)m_begin, .gears = 5 };
struct engine_ops loud SEC(".struct_ops.link") = {
	.start = (void *)m_begin, .stop = (void *)m_end, .gears = 6,
};

/* Two target types of the name, which may agree and may not. */
#include "../core.h"

struct twin { int same; } CORE;

SEC("socket") int same(struct twin *t) { return t->same; }
SEC("socket") int id(struct twin *t) { return t->same + type_size(struct twin); }

#include "../core.h"

struct twin { int same; int differs; } CORE;

SEC("socket") int differs(struct twin *t) { return t->differs; }

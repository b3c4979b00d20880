/* The first relocation rules out a candidate that the second would find ambiguous. */
#include "../core.h"

struct twin { int same; int differs; int only_first; } CORE;

SEC("socket") int pruned(struct twin *t) { return exists(t->only_first) + offset_of(t->differs) + t->differs; }

/* Offsets that no load can hold, in the target only. */
#include "../core.h"

struct far { int near; int away; } CORE;

SEC("socket") int away(struct far *f) { return f->away; }

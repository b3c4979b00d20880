/* The same as addresses, which can hold them. */
#include "../core.h"

struct far { int near; int away; } CORE;

SEC("socket") long away(struct far *f) { return (long)&f->away + offset_of(f->away); }

/* A field that becomes a struct of three bytes long: no load has that size. */
#include "../core.h"

struct sized { u8 bytes[3]; u32 odd; } CORE;

SEC("socket") u64 odd(struct sized *s) { return s->bytes[1] + s->odd; }

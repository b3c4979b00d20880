/* An ordinary field read as a bit-field: the loads of other sizes than the field's fit no target of another size. */
#include "../core.h"

struct bits { u32 whole; } CORE;

read_bits(bits, whole)

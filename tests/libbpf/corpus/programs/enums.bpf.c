/* Enumerators: there or not, values of every width and sign, flavours of types and of names. */
#include "../core.h"

enum color { RED = 1, GREEN = 2, BLUE = 4 };
enum color___old { RED___old = 1, CRIMSON = 9 };
enum level { LOW = -5, HIGH = 7 };
enum huge { HUGE_ONE = 0x123456789abcull, HUGE_TOP = 0xffffffffffffffffull };
enum deep { DEEP = -0x123456789all, FLAT = 1 };
enum grows { GROWS = 3 };
enum shrinks { SHRINKS = 0x100000003ull };
enum nowhere { NOWHERE = 1 };
typedef enum { IN_TYPEDEF = 5 } mood;

#define one(type, value)                                                                                        \
	SEC("socket") long v_##value(void *ctx)                                                          \
	{                                                                                                       \
		return enum_exists(type, value) ? (long)enum_value(type, value) : -1;                           \
	}

one(enum color, RED)
one(enum color, GREEN)
one(enum color, BLUE)
one(enum color___old, RED___old)
one(enum color___old, CRIMSON)
one(enum level, LOW)
one(enum level, HIGH)
one(enum huge, HUGE_ONE)
one(enum huge, HUGE_TOP)
one(enum deep, DEEP)
one(enum deep, FLAT)
one(enum grows, GROWS)
one(enum shrinks, SHRINKS)
one(enum nowhere, NOWHERE)
one(mood, IN_TYPEDEF)

/* Bit-fields as BPF_CORE_READ_BITFIELD reads them. */
#include "../core.h"

struct bits {
	u8 small : 3;
	u8 cross : 6;
	u32 mid : 11;
	s32 neg : 5;
	u64 large : 40;
	u32 whole;
	enum mode { OFF, ON } mode : 2;
	u16 : 0;
	u16 last : 9;
	u32 was_plain : 8;
	u32 now_plain;
} CORE;

#define one(field) read_bits(bits, field)

one(small)
one(cross)
one(mid)
one(neg)
one(large)
one(mode)
one(last)
one(was_plain)
one(now_plain)

SEC("socket") int bits_there(struct bits *b) { return exists(b->small) + 2 * exists(b->last); }
SEC("socket") int bits_plain(struct bits *b) { return b->whole + b->now_plain; }

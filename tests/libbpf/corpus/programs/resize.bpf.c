/* Fields that have another size in the target. */
#include "../core.h"

struct sized {
	u8 u_byte;
	u16 u_half;
	u32 u_word;
	u64 u_wide;
	s32 s_word;
	s8 s_byte;
	_Bool flag;
	char letter;
	void *ptr;
	enum e { E } e;
	u32 list[4];
	u32 odd;
} CORE;

SEC("socket") u64 byte(struct sized *s) { return s->u_byte; }
SEC("socket") u64 half(struct sized *s) { return s->u_half; }
SEC("socket") u64 word(struct sized *s) { return s->u_word; }
SEC("socket") u64 wide(struct sized *s) { return s->u_wide; }
SEC("socket") u64 s_word(struct sized *s) { return s->s_word; }
SEC("socket") u64 s_byte(struct sized *s) { return s->s_byte; }
SEC("socket") u64 flag(struct sized *s) { return s->flag; }
SEC("socket") u64 letter(struct sized *s) { return s->letter; }
SEC("socket") u64 ptr(struct sized *s) { return (u64)s->ptr; }
SEC("socket") u64 e(struct sized *s) { return s->e; }
SEC("socket") u64 list(struct sized *s) { return s->list[2]; }
SEC("socket") u64 put(struct sized *s)
{
	s->u_byte = 1;
	s->u_half = (long)s;
	s->u_wide = 3;
	return 0;
}
SEC("socket") u64 addresses(struct sized *s) { return (long)&s->s_word + offset_of(s->list[3]); }

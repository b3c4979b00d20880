/* Offsets in loads, stores and addresses: plain, nested, anonymous, arrays of every shape. */
#include "../core.h"

struct inner {
	int a;
	int b[4];
	struct {
		u64 deep;
	};
} CORE;

struct outer {
	int first;
	u64 wide;
	struct inner in;
	struct inner many[3];
	int grid[2][5];
	union {
		u32 as_word;
		u8 as_byte;
	};
	struct {
		union {
			struct {
				u16 hidden;
			};
			int other;
		};
	};
	void *ptr;
	struct inner *link;
	u8 tail[];
} CORE;

SEC("socket") int load(struct outer *o) { return o->first; }
SEC("socket") int wide(struct outer *o) { return o->wide; }
SEC("socket") int nested(struct outer *o) { return o->in.a + o->in.b[2] + o->in.deep; }
SEC("socket") int element(struct outer *o) { return o->many[1].b[3] + o->grid[1][4]; }
SEC("socket") int anonymous(struct outer *o) { return o->as_word + o->as_byte + o->hidden; }
SEC("socket") int flexible(struct outer *o) { return o->tail[7]; }
SEC("socket") int follow(struct outer *o) { return o->link->b[1] + (long)o->ptr; }
SEC("socket") int next(struct outer *o) { return o[2].first; }
SEC("socket") int store(struct outer *o)
{
	o->first = 7;
	o->wide = (long)o;
	o->hidden = 9;
	o->in.b[3] = o->first;
	return 0;
}
SEC("socket") long address(struct outer *o) { return (long)&o->in.b[1] ^ (long)&o->tail ^ (long)&o->grid[1]; }
SEC("socket") int infos(struct outer *o)
{
	return offset_of(o->in.deep) + offset_of(o->many[2].a) * 3 + offset_of(o->grid[1][2]) * 5 + offset_of(o->hidden) * 7 +
	       offset_of(o->tail[4]) * 11 + offset_of(o->many) * 13;
}

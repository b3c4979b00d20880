/* Size, sign and existence of fields, of what is there and of what is not. */
#include "../core.h"

enum color { RED, GREEN };
enum level { LOW = -1, HIGH = 1 };

struct thing {
	s8 byte;
	u16 half;
	s32 word;
	u64 wide;
	_Bool flag;
	float real;
	enum color color;
	enum level level;
	void *ptr;
	char text[12];
	int grid[3][4];
	struct pair {
		int x, y;
	} pair;
	int gone;
	int is_struct_there;
	struct pair was_int;
} CORE;

SEC("socket") long sizes(struct thing *t)
{
	return size_of(t->byte) + 2 * size_of(t->half) + 3 * size_of(t->word) + 5 * size_of(t->wide) + 7 * size_of(t->flag) +
	       11 * size_of(t->real) + 13 * size_of(t->color) + 17 * size_of(t->ptr) + 19 * size_of(t->text) +
	       23 * size_of(t->grid) + 29 * size_of(t->grid[1]) + 31 * size_of(t->grid[1][2]) + 37 * size_of(t->pair);
}
SEC("socket") long signs(struct thing *t)
{
	return is_signed(t->byte) + 2 * is_signed(t->half) + 4 * is_signed(t->word) + 8 * is_signed(t->wide) +
	       16 * is_signed(t->flag) + 32 * is_signed(t->color) + 64 * is_signed(t->level);
}
SEC("socket") long there(struct thing *t)
{
	return exists(t->byte) + 2 * exists(t->half) + 4 * exists(t->pair.y) + 8 * exists(t->gone) +
	       16 * exists(t->is_struct_there) + 32 * exists(t->was_int) + 64 * exists(t->text[11]) +
	       128 * exists(t->grid[2][3]) + 256 * exists(t->color) + 512 * exists(t->real) + 1024 * exists(t->text);
}
SEC("socket") long guarded(struct thing *t)
{
	if (exists(t->gone))
		return t->gone + size_of(t->gone) + is_signed(t->gone) + offset_of(t->gone);
	return t->word;
}

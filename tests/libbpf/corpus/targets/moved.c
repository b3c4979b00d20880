/* Another release: fields moved, grown, shrunk, wrapped into anonymous members and out of them. */
#include "../core.h"

struct inner { u64 pad; struct { struct { int b[6]; }; u16 deep; }; u8 a; };
struct outer {
	u64 pad[9]; union { struct { int before; u32 as_word; }; u64 x; };
	struct inner in; int grid[3][7]; struct { u8 as_byte; u16 hidden; void *ptr; u64 first; };
	const struct inner many[5]; volatile u32 wide; struct inner *const link; u8 tail[];
};
struct outer *v_outer;
struct outer_keeper { struct outer o; } v_outer_value;

enum color { BLUE = 0x40, GREEN = 0x20, RED = 0x10, WHITE = 1 } v_color;
enum level { HIGH = 100, LOW = -100 } v_level;
struct pair { u64 pad; int y, x; } v_pair;
struct thing {
	u64 pad; enum level level; u64 byte; s8 half; u8 word; u16 wide; u8 flag; double real; enum { RED_ } color; void *ptr;
	char text[3]; s64 grid[5][6]; struct pair pair; int is_struct_there; struct pair was_int;
} v_thing;
struct bits {
	u64 pad; u64 small : 13; u64 cross : 30; u64 mid : 20; s64 neg : 1; u16 large : 3; u64 whole; u8 mode; u32 : 0;
	s32 last : 31; u32 was_plain; u32 p : 7; u32 now_plain : 18;
} v_bits;
union either { u64 more[3]; u64 l; int i; } v_either;
enum big { BIG = 0x200000000ull, BIGGER } v_big;
typedef u64 number;
number v_number;
typedef struct pair pair_t;
pair_t v_pair_t;
typedef struct { int nameless, second; } anon_t;
anon_t v_anon;
typedef int (*callback)(int, struct pair *, int);
callback v_callback;
typedef int row[8];
typedef row *rows;
rows v_rows;
struct opaque { int known; } v_opaque_value;
struct node {
	row r; struct opaque *hidden; callback call; enum color color; const struct pair value; struct node *volatile next;
	int more;
} v_node;
struct holder { struct { int inside, more; }; union { int left; long right; }; double f; int extra; } v_holder;
typedef struct opaque *opaque_ptr;
opaque_ptr v_opaque;
typedef int *cv_ptr;
cv_ptr v_cv;
typedef const void *void_ptr;
void_ptr v_void;
typedef float real;
real v_real;
enum huge { HUGE_TOP = 0x8000000000000000ull, HUGE_ONE = 1 } v_huge;
enum deep { FLAT = -1, DEEP = -2 } v_deep;
enum grows { GROWS = 0x300000000ull } v_grows;
enum shrinks { SHRINKS = 3 } v_shrinks;
typedef enum { OTHER, IN_TYPEDEF } mood;
mood v_mood;
enum unsigned_high { TOP = 0xffffffffu } v_top;
struct task { u64 pad; u64 __state; u16 pid; } v_task;
struct __private { u64 pad; int value; } v_private;
struct only___target { u64 pad[2]; int value; } v_only;
union both { u64 right; int left; } v_both;
struct sized {
	u64 u_byte; u8 u_half; u16 u_word; u8 u_wide; s64 s_word; s16 s_byte; u32 flag; unsigned short letter; u32 *ptr;
	enum e { E = 0x100000000ull } e; u8 list[4]; u64 bytes[2]; u64 odd;
} v_sized;
struct far { char pad[40000]; int away; int near; } v_far;
struct twin { int only_first; int same; int differs; } v_twin;
struct changed {
	u64 pad; short was_int; union { u64 more; int x; } was_struct; u8 was_array[4]; int *was_ptr;
	enum { A = 0x100000000ull } was_enum; double was_float; union { long z; int y; } now_union;
} v_changed;
struct swapped { int pad; int x; } v_swapped;
struct ops { int flags; const struct ops *next; void (*close)(void *); long (*open)(void *, long, int); } v_ops;

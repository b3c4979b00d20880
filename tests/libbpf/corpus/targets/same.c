/* The machine that the programs were written for, or nearly: fields in their places. */
#include "../core.h"

struct inner { int a; int b[4]; struct { u64 deep; }; };
struct outer {
	int first; u64 wide; struct inner in; struct inner many[3]; int grid[2][5];
	union { u32 as_word; u8 as_byte; };
	struct { union { struct { u16 hidden; }; int other; }; };
	void *ptr; struct inner *link; u8 tail[];
};
struct outer *v_outer;
struct outer_keeper { struct outer o; } v_outer_value;

enum color { RED = 1, GREEN = 2, BLUE = 4 } v_color;
enum level { LOW = -5, HIGH = 7 } v_level;
struct pair { int x, y; } v_pair;
struct thing {
	s8 byte; u16 half; s32 word; u64 wide; _Bool flag; float real; enum color color; enum level level; void *ptr;
	char text[12]; int grid[3][4]; struct pair pair; int is_struct_there; struct pair was_int;
} v_thing;
struct bits {
	u8 small : 3; u8 cross : 6; u32 mid : 11; s32 neg : 5; u64 large : 40; u32 whole; enum mode { OFF, ON } mode : 2;
	u16 : 0; u16 last : 9; u32 was_plain : 8; u32 now_plain;
} v_bits;
union either { int i; u64 l; } v_either;
enum big { BIG = 0x100000000ull } v_big;
typedef int number;
number v_number;
typedef struct pair pair_t;
pair_t v_pair_t;
typedef struct { int nameless; } anon_t;
anon_t v_anon;
typedef int (*callback)(int, struct pair *);
callback v_callback;
typedef int row[4];
typedef row *rows;
rows v_rows;
struct opaque;
struct node { struct node *next; struct pair value; enum color color; callback call; struct opaque *hidden; row r; } v_node;
struct holder { struct { int inside; }; union { int left; long right; }; float f; } v_holder;
typedef struct opaque *opaque_ptr;
opaque_ptr v_opaque;
typedef const volatile int *cv_ptr;
cv_ptr v_cv;
typedef void *void_ptr;
void_ptr v_void;
typedef double real;
real v_real;
enum huge { HUGE_ONE = 0x123456789abcull, HUGE_TOP = 0xffffffffffffffffull } v_huge;
enum deep { DEEP = -0x123456789all, FLAT = 1 } v_deep;
enum grows { GROWS = 3 } v_grows;
enum shrinks { SHRINKS = 0x100000003ull } v_shrinks;
typedef enum { IN_TYPEDEF = 5 } mood;
mood v_mood;
enum unsigned_high { TOP = 0xf0000000u } v_top;
struct task { int pid; int state; int extra; } v_task;
struct __private { int value; } v_private;
struct only { int value; } v_only;
union both { int left; } v_both;
struct sized {
	u8 u_byte; u16 u_half; u32 u_word; u64 u_wide; s32 s_word; s8 s_byte; _Bool flag; char letter; void *ptr;
	enum e { E } e; u32 list[4]; u8 bytes[3]; u32 odd;
} v_sized;
struct far { int near; int away; } v_far;
struct twin { int same; int differs; int only_first; } v_twin;
struct changed {
	int was_int; struct { int x; } was_struct; int was_array[4]; void *was_ptr; enum { A } was_enum; float was_float;
	struct { int y; } now_union;
} v_changed;
union swapped { int x; } v_swapped;
struct ops { int (*open)(void *, int); void (*close)(void *); const struct ops *next; int flags; } v_ops;

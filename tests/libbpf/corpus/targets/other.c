/* Little of it is there, and what there is means something else. */
#include "../core.h"

struct inner { struct { int x; } a; int *b; };
struct outer { struct inner in; int first[3]; void *link; u8 tail; int grid[2]; struct inner many[1]; struct { int x; } wide; } v_outer;
enum color { CRIMSON = 3 } v_color;
enum level { MIDDLE } v_level;
struct pair { u64 x; } v_pair;
struct thing { int pair; struct { int x; } is_struct_there; int was_int; char text[1][2]; int grid[12]; enum level color; } v_thing;
struct bits { int small; struct { int x; } mid; u32 *last; u8 whole : 3; } v_bits;
struct either { int i; } v_either;
union node { int value; } v_node;
typedef struct pair number;
number v_number;
typedef int pair_t;
pair_t v_pair_t;
typedef union { int nameless; } anon_t;
anon_t v_anon;
typedef void (*callback)(void);
callback v_callback;
typedef int *row;
row v_row;
struct task { int other; } v_task;
struct __private___kernel { struct { int value; }; } v_private;
struct sized {
	int u_byte; s64 u_half; s16 u_word; s32 u_wide; u32 s_word; u8 s_byte; _Bool flag; short letter; u64 ptr; u64 e;
	s64 list[4]; struct { int x; } odd; struct { char c[3]; } bytes[3];
} v_sized;
struct far { int near; struct { char pad[100000]; } ; int away; } v_far;
struct twin { int same[4]; } v_twin;
struct changed {
	struct { int x; } was_int; int was_struct; int was_array; int was_ptr; int was_enum; int was_float; void *now_union;
} v_changed;
enum swapped { SWAPPED } v_swapped;
struct ops { int open; void (*close)(void); struct ops *const next; unsigned char flags; } v_ops;

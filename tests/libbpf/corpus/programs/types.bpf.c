/* Types as a whole: existence, size, ids, and whether they match. */
#include "../core.h"

struct pair { int x, y; };
struct pair___grown { int x, y, z; };
struct pair___less { int x; };
struct pair___wide { u64 x; int y; };
union either { int i; u64 l; };
enum color { RED, GREEN };
enum color___more { RED___1, GREEN___1, BLUE___1 };
enum big { BIG = 0x100000000ull };
typedef int number;
typedef struct pair pair_t;
typedef struct { int nameless; } anon_t;
typedef int (*callback)(int, struct pair *);
typedef int (*callback___two)(int, struct pair *, int);
typedef int row[4];
typedef row *rows;
struct node { struct node *next; struct pair value; enum color color; callback call; struct opaque *hidden; row r; };
struct node___flat { struct node___flat *next; union either value; };
struct absent { int x; };
struct holder { struct { int inside; }; union { int left; long right; }; float f; };
struct opaque;
typedef struct opaque *opaque_ptr;
typedef const volatile int *cv_ptr;
typedef void *void_ptr;
typedef double real;

#define all(name, type)                                                                                         \
	SEC("socket") long type_##name(void *ctx)                                                         \
	{                                                                                                       \
		return type_exists(type) + 2 * type_matches(type) + 4 * type_id_target(type) +                  \
		       1000003ull * type_id_local(type);                                                        \
	}
#define sized(name, type)                                                                                       \
	all(name, type) SEC("socket") long size_##name(void *ctx) { return type_size(type); }

sized(pair, struct pair)
sized(pair_grown, struct pair___grown)
sized(pair_less, struct pair___less)
sized(pair_wide, struct pair___wide)
sized(either, union either)
sized(color, enum color)
sized(color_more, enum color___more)
sized(big, enum big)
sized(number, number)
sized(pair_t, pair_t)
sized(anon_t, anon_t)
sized(callback, callback)
all(callback_two, callback___two)
sized(row, row)
sized(rows, rows)
sized(node, struct node)
sized(node_flat, struct node___flat)
sized(absent, struct absent)
sized(holder, struct holder)
sized(opaque_ptr, opaque_ptr)
sized(cv_ptr, cv_ptr)
sized(void_ptr, void_ptr)
sized(real, real)
sized(u64, u64)

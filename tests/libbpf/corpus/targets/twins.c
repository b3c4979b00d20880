/* Several types of a name. */
#include "../core.h"

struct twin { int same; int only_first; int differs; } v_twin;
struct twin___2 { int same; int pad[3]; u64 differs; } v_twin_2;
struct twin___unrelated { u64 other; } v_twin_3;
struct pair { int x, y; } v_pair;
struct pair___2 { int x; int pad; int y; } v_pair_2;
enum color { RED = 1, GREEN = 2 } v_color;
enum color___2 { RED_2 = 5, BLUE___2 = 8, GREEN___2 = 2 } v_color_2;
struct task { int pid, state; } v_task;
struct task___old { int pid, __state; } v_task_old;
struct thing { int word; } v_thing;
struct thing___gone { long gone; } v_thing_gone;
struct far { int near; int away; } v_far;
struct far___2 { int near, away, more; } v_far_2;
struct sized { u32 u_byte; u16 u_half; } v_sized;
struct sized___2 { u32 u_byte; u32 u_half; } v_sized_2;
typedef int number;
number v_number;
typedef u64 number___2;
number___2 v_number_2;
union both { int left; } v_both;
union both___2 { int left; int right[2]; } v_both_2;
struct only___1 { int value; } v_only_1;
struct only___2 { int value; } v_only_2;

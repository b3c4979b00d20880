/* Tags on declarations and types: variables, fields, functions and arguments. */
#include "../features.h"

#define user __attribute__((btf_type_tag("user")))

struct tagged { int plain, marked tag("field"); int user *pointer; } tag("whole");
struct tagged variable tag("variable") = { .plain = 1 };
typedef struct tagged alias tag("alias");

tag("function") noinline int use(struct tagged *t tag("argument"), alias *a) { return t && a ? t->marked + a->plain : 0; }
SEC("socket") int entry(void *ctx) { return use(&variable, &variable); }

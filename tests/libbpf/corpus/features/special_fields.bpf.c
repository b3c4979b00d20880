/* Values with fields that the kernel manages: locks, lists, trees, pointers; heads in private sections. */
#include "../features.h"

struct bpf_spin_lock { u32 opaque; };
struct bpf_list_head { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { u64 opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { u64 opaque[4]; } __attribute__((aligned(8)));
struct task_struct;

struct item { struct bpf_list_node in_list; struct bpf_rb_node in_tree; u64 key; };
struct value {
	struct bpf_spin_lock lock;
	struct bpf_list_head list tag("contains:item:in_list");
	struct task_struct kptr *task;
	u64 n;
};

struct {
	number(type, ARRAY);
	number(max_entries, 2);
	holds(key, u32);
	holds(value, struct value);
} values SEC(".maps");

struct bpf_spin_lock tree_lock SEC(".bss.A");
struct bpf_rb_root tree SEC(".bss.A") tag("contains:item:in_tree");
struct item *keep_type;

SEC("tc") int count(void *ctx)
{
	u32 key = 0;
	struct value *v = map_lookup(&values, &key);

	if (v) {
		lock(&v->lock);
		v->n++;
		unlock(&v->lock);
	}
	lock(&tree_lock);
	unlock(&tree_lock);
	return 0;
}

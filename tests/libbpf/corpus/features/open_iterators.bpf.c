/* Iterators of the kernel, which its functions move on. */
#include "../features.h"

struct bpf_iter_num { u64 opaque[1]; } __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) ksym;

SEC("tc") int count(void *ctx)
{
	struct bpf_iter_num it;
	int *v, sum = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((v = bpf_iter_num_next(&it)))
		sum += *v;
	bpf_iter_num_destroy(&it);
	return sum;
}

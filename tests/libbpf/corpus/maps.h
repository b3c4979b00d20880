/* Words of the programs about maps. */
typedef unsigned char __u8;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]
#define __ulong(name, val) enum { name##_value = val } name

enum { HASH = 1, ARRAY = 2, PROG_ARRAY = 3, PERF_EVENT_ARRAY = 4, ARRAY_OF_MAPS = 12, HASH_OF_MAPS = 13,
	RINGBUF = 27, BLOOM_FILTER = 30, USER_RINGBUF = 31, ARENA = 33 };

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_tail_call)(void *ctx, void *map, __u32 index) = (void *)12;

char _license[] SEC("license") = "GPL";

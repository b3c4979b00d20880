/* SPDX-License-Identifier: MIT OR Apache-2.0 */
// What the benchmark programs share. Each is one function over 512 bytes of memory, wrapped twice:
//   NAME      a socket filter over the value of a map: verifies, runs in the kernel too
//   NAME_mem  r1 points at the memory, not loaded by default: for engines without maps (but "protocols" counts in one),
//             and for the machine itself, where skep_bpf.h is that of the folder native
#include "skep_bpf.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define LEN 512
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define NO_UNROLL _Pragma("clang loop unroll(disable)")

struct block {
	u8 bytes[LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct block);
} memory SEC(".maps");

#define BENCH(name)                                                                                          \
	SEC("socket") int name(void *ctx __attribute__((unused)))                                                                    \
	{                                                                                                    \
		u32 zero = 0;                                                                                \
		u8 *mem = bpf_map_lookup_elem(&memory, &zero);                                               \
		return mem ? (int)body_##name(mem) : 0;                                                      \
	}                                                                                                    \
	SEC("?socket") int name##_mem(void *mem)                                                              \
	{                                                                                                    \
		return (int)body_##name(mem);                                                                \
	}

#define ROL32(x, n) (((x) << (n)) | ((x) >> (32 - (n))))

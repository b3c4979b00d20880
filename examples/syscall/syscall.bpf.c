/* A program that is called like a function: the context is a buffer of the caller's, read and written.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

struct args {
	__u64 a;
	__u64 b;
	__u64 gcd; /* out */
	__s64 quotient; /* out: signed, cpu v4 */
};

SEC("syscall")
int divide(struct args *args)
{
	__u64 a = args->a, b = args->b;

	/* Euclid: 64-bit numbers need at most 93 steps. */
	for (int i = 0; i < 93 && b; i++) {
		__u64 rest = a % b;

		a = b;
		b = rest;
	}
	args->gcd = a;
	args->quotient = (__s64)args->a / (__s64)args->b;
	return b ? -1 : 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";

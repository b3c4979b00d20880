// SPDX-License-Identifier: MIT OR Apache-2.0
// The benchmark programs.
// Build: cargo xtask examples
#include "bench.h"

// Dependent arithmetic, 64 bits.
INLINE u64 body_alu(u8 *mem)
{
	u64 a = mem[0] + 1, b = mem[1] + 2, c = 0x9e3779b97f4a7c15ull;
	NO_UNROLL for (int i = 0; i < 1000; i++) {
		a = (a ^ (b >> 3)) * 5 + c;
		b = (b + a) ^ (a << 7);
		c -= b | 1;
	}
	return a ^ b ^ c;
}
BENCH(alu)

// Trial division.
INLINE u64 body_primes(u8 *mem)
{
	u32 count = 0;
	NO_UNROLL for (u32 n = 3; n < 128 + (mem[0] & 1); n += 2) {
		u32 prime = 1;
		NO_UNROLL for (u32 d = 3; d * d <= n && d < 16; d += 2) {
			if (n % d == 0) {
				prime = 0;
				break;
			}
		}
		count += prime;
	}
	return count;
}
BENCH(primes)

// Compares two halves, byte by byte.
INLINE u64 body_compare(u8 *mem)
{
	u32 i;
	NO_UNROLL for (i = 0; i < 255; i++) {
		if ((mem[i] ^ mem[i + 256]) & 0x80)
			break;
	}
	return i;
}
BENCH(compare)

// A Jenkins-style mix over 120 bytes.
INLINE u64 body_jhash(u8 *mem)
{
	u32 a = 0xdeadbeef, b = a, c = a;
	u32 *w = (u32 *)mem;
	NO_UNROLL for (u32 i = 0; i < 30; i += 3) {
		a += w[i];
		b += w[i + 1];
		c += w[i + 2];
		a -= c; a ^= ROL32(c, 4); c += b;
		b -= a; b ^= ROL32(a, 6); a += c;
		c -= b; c ^= ROL32(b, 8); b += a;
		a -= c; a ^= ROL32(c, 16); c += b;
		b -= a; b ^= ROL32(a, 19); a += c;
		c -= b; c ^= ROL32(b, 4); b += a;
	}
	return c;
}
BENCH(jhash)

#define ROL64(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define SIP_ROUND                                                                                            \
	do {                                                                                                 \
		v0 += v1; v1 = ROL64(v1, 13); v1 ^= v0; v0 = ROL64(v0, 32);                                  \
		v2 += v3; v3 = ROL64(v3, 16); v3 ^= v2;                                                      \
		v0 += v3; v3 = ROL64(v3, 21); v3 ^= v0;                                                      \
		v2 += v1; v1 = ROL64(v1, 17); v1 ^= v2; v2 = ROL64(v2, 32);                                  \
	} while (0)

// SipHash-2-4 over 128 bytes.
INLINE u64 body_siphash(u8 *mem)
{
	u64 v0 = 0x736f6d6570736575ull, v1 = 0x646f72616e646f6dull;
	u64 v2 = 0x6c7967656e657261ull, v3 = 0x7465646279746573ull;
	u64 *w = (u64 *)mem;
	NO_UNROLL for (u32 i = 0; i < 16; i++) {
		v3 ^= w[i];
		SIP_ROUND;
		SIP_ROUND;
		v0 ^= w[i];
	}
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
BENCH(siphash)

// Internet checksum over 512 bytes.
INLINE u64 body_csum(u8 *mem)
{
	u64 sum = 0;
	u16 *w = (u16 *)mem;
	NO_UNROLL for (u32 i = 0; i < LEN / 2; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}
BENCH(csum)

// Ethernet, IPv4 and TCP or UDP headers: a flow key.
INLINE u64 body_parse(u8 *mem)
{
	u16 proto = mem[12] << 8 | mem[13];
	if (proto != 0x0800)
		return 1;
	u8 *ip = mem + 14;
	u32 ihl = (ip[0] & 15) * 4;
	if ((ip[0] >> 4) != 4 || ihl < 20)
		return 2;
	u32 src = *(u32 *)(ip + 12), dst = *(u32 *)(ip + 16);
	u8 *l4 = ip + ihl;
	u16 sport = l4[0] << 8 | l4[1], dport = l4[2] << 8 | l4[3];
	if (ip[9] == 6) {
		u32 doff = (l4[12] >> 4) * 4;
		return (u64)src ^ dst ^ sport ^ ((u32)dport << 16) ^ doff ^ l4[13];
	}
	return ip[9] == 17 ? (u64)src ^ dst ^ sport ^ ((u32)dport << 16) : 3;
}
BENCH(parse)

// Base64 of 48 bytes into the second half.
INLINE u64 body_base64(u8 *mem)
{
	u8 *out = mem + 256;
	NO_UNROLL for (u32 i = 0; i < 16; i++) {
		u32 v = mem[i * 3] << 16 | mem[i * 3 + 1] << 8 | mem[i * 3 + 2];
		NO_UNROLL for (u32 j = 0; j < 4; j++) {
			u32 d = (v >> (18 - 6 * j)) & 63;
			u8 c = d < 26 ? 'A' + d : d < 52 ? 'a' + d - 26 : d < 62 ? '0' + d - 52 : d == 62 ? '+' : '/';
			out[i * 4 + j] = c;
		}
	}
	return out[0] | (u64)out[63] << 8;
}
BENCH(base64)

NOINLINE u32 log2_of(u64 v)
{
	u32 r = 0;
	if (v >> 32) { v >>= 32; r += 32; }
	if (v >> 16) { v >>= 16; r += 16; }
	if (v >> 8) { v >>= 8; r += 8; }
	if (v >> 4) { v >>= 4; r += 4; }
	if (v >> 2) { v >>= 2; r += 2; }
	return r + (u32)(v >> 1 & 1);
}

// Histogram slots.
INLINE u64 body_histogram(u8 *mem)
{
	u64 *w = (u64 *)mem, sum = 0;
	NO_UNROLL for (u32 i = 0; i < 32; i++)
		sum += log2_of(w[i]);
	return sum;
}
BENCH(histogram)

// A recogniser of decimal numbers.
INLINE u64 body_fsm(u8 *mem)
{
	u32 state = 0, found = 0;
	NO_UNROLL for (u32 i = 0; i < 128; i++) {
		u32 c = mem[i] & 0x3f;
		u32 digit = c - '0' < 10;
		switch (state) {
		case 0: state = c == '-' ? 1 : digit ? 2 : 0; break;
		case 1: state = digit ? 2 : 0; break;
		case 2: state = digit ? 2 : c == '.' ? 3 : 4; break;
		case 3: state = digit ? 3 : 4; break;
		default: found++; state = 0; break;
		}
	}
	return found;
}
BENCH(fsm)

// Insertion sort of 16 words into the second half.
INLINE u64 body_sort(u8 *mem)
{
	u32 *in = (u32 *)mem, *a = (u32 *)(mem + 256);
	NO_UNROLL for (u32 i = 0; i < 16; i++) {
		u32 v = in[i];
		u32 j = i;
		NO_UNROLL while (j > 0 && j < 17) {
			u32 p = a[j - 1];
			if (p <= v)
				break;
			a[j] = p;
			j--;
		}
		if (j < 16)
			a[j] = v;
	}
	return a[0] ^ a[15];
}
BENCH(sort)

NOINLINE u64 mix(u64 a, u64 b)
{
	return (a ^ b) * 3 + (b >> 5);
}

// A hundred calls of a small subprogram.
INLINE u64 body_calls(u8 *mem)
{
	u64 a = mem[0];
	NO_UNROLL for (u32 i = 0; i < 100; i++)
		a = mix(a, i);
	return a;
}
BENCH(calls)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} counts SEC(".maps");

// Eight packets of 64 bytes, counted by IP protocol in a map. The addition is not atomic: rbpf has none.
INLINE u64 body_protocols(u8 *mem)
{
	u32 counted = 0;
	NO_UNROLL for (u32 i = 0; i < 8; i++) {
		u8 *frame = mem + i * 64;
		u32 ethertype = frame[12] << 8 | frame[13], protocol;
		if (ethertype == 0x0800)
			protocol = frame[23];
		else if (ethertype == 0x86dd)
			protocol = frame[20];
		else
			continue;
		u64 *count = bpf_map_lookup_elem(&counts, &protocol);
		if (count) {
			*count += 1;
			counted++;
		}
	}
	return counted;
}
BENCH(protocols)

char LICENSE[] SEC("license") = "Dual MIT/GPL";

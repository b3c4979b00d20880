// SPDX-License-Identifier: MIT OR Apache-2.0
// Eight more benchmark programs, of other kinds than those of programs.bpf.c and written before anything was tuned on
// them.
// Build: cargo xtask examples
#include "bench.h"

// CRC-32 of 128 bytes, bit by bit.
INLINE u64 body_crc32(u8 *mem)
{
	u32 crc = ~0u;
	NO_UNROLL for (u32 i = 0; i < 128; i++) {
		crc ^= mem[i];
		NO_UNROLL for (u32 bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}
BENCH(crc32)

// MurmurHash3 (x86, 32 bits) of 256 bytes.
INLINE u64 body_murmur3(u8 *mem)
{
	u32 h = 0x12345678, *w = (u32 *)mem;
	NO_UNROLL for (u32 i = 0; i < 64; i++) {
		u32 k = w[i] * 0xcc9e2d51;
		k = ROL32(k, 15) * 0x1b873593;
		h ^= k;
		h = ROL32(h, 13) * 5 + 0xe6546b64;
	}
	h ^= 256;
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}
BENCH(murmur3)

// Characters of UTF-8 text, until something is none.
INLINE u64 body_utf8(u8 *mem)
{
	u32 count = 0, more = 0;
	NO_UNROLL for (u32 i = 0; i < 256; i++) {
		// Every fourth byte begins a character of two bytes.
		u8 c = (i & 3) == 2 ? 0xc3 : (i & 3) == 3 ? 0x80 | (mem[i] & 0x3f) : mem[i];
		if (more) {
			if ((c & 0xc0) != 0x80)
				return (u64)i << 32 | count;
			more--;
			continue;
		}
		count++;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c < 0xe0)
			more = 1;
		else if (c >= 0xe0 && c < 0xf0)
			more = 2;
		else if (c >= 0xf0 && c < 0xf5)
			more = 3;
		else
			return (u64)i << 32 | count;
	}
	return count;
}
BENCH(utf8)

// The product of two 8 by 8 matrices of 16-bit numbers into one of 32-bit numbers.
INLINE u64 body_matrix(u8 *mem)
{
	u16 *a = (u16 *)mem, *b = (u16 *)(mem + 128);
	u32 *c = (u32 *)(mem + 256);
	NO_UNROLL for (u32 i = 0; i < 8; i++) {
		NO_UNROLL for (u32 j = 0; j < 8; j++) {
			u32 sum = 0;
			NO_UNROLL for (u32 k = 0; k < 8; k++)
				sum += (u32)a[i * 8 + k] * b[k * 8 + j];
			c[i * 8 + j] = sum;
		}
	}
	return c[0] ^ c[27] ^ c[63];
}
BENCH(matrix)

// Bits that are set, and words with their bits turned around, in 32 words of 64 bits.
INLINE u64 body_bits(u8 *mem)
{
	u64 *w = (u64 *)mem, turned = 0, count = 0;
	NO_UNROLL for (u32 i = 0; i < 32; i++) {
		u64 v = w[i], n = v;
		n -= n >> 1 & 0x5555555555555555ull;
		n = (n & 0x3333333333333333ull) + (n >> 2 & 0x3333333333333333ull);
		n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0full;
		count += n * 0x0101010101010101ull >> 56;
		v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
		v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
		v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
		turned ^= __builtin_bswap64(v) + i;
	}
	return turned ^ count;
}
BENCH(bits)

// A hash table of 32 places with linear probing in the second half: 24 insertions, then 32 searches.
INLINE u64 body_probing(u8 *mem)
{
	u64 *table = (u64 *)(mem + 256);
	u16 *keys = (u16 *)mem;
	u32 found = 0;
	NO_UNROLL for (u32 i = 0; i < 32; i++)
		table[i] = 0;
	NO_UNROLL for (u32 i = 0; i < 24; i++) {
		u64 key = keys[i] | 0x10000;
		u32 at = (u32)(key * 0x9e3779b1u) >> 27;
		NO_UNROLL for (u32 step = 0; step < 32; step++) {
			u64 *place = &table[(at + step) & 31];
			if (*place == 0 || *place == key) {
				*place = key;
				break;
			}
		}
	}
	NO_UNROLL for (u32 i = 8; i < 40; i++) {
		u64 key = keys[i] | 0x10000;
		u32 at = (u32)(key * 0x9e3779b1u) >> 27;
		NO_UNROLL for (u32 step = 0; step < 32; step++) {
			u64 held = table[(at + step) & 31];
			found += held == key;
			if (held == 0 || held == key)
				break;
		}
	}
	return found;
}
BENCH(probing)

// Run lengths: pairs of a count and a byte from the first quarter into the second half.
INLINE u64 body_runs(u8 *mem)
{
	u8 *out = mem + 256;
	u32 len = 0;
	NO_UNROLL for (u32 i = 0; i < 128; i += 2) {
		u32 n = mem[i] & 7;
		u8 byte = mem[i + 1];
		NO_UNROLL for (u32 j = 0; j < n; j++) {
			out[len & 255] = byte;
			len++;
		}
	}
	return len ^ (u64)out[17] << 32 ^ (u64)out[200] << 40;
}
BENCH(runs)

// The headers behind an IPv6 header, up to the transport's, for eight starts.
INLINE u64 body_ipv6(u8 *mem)
{
	u64 sum = 0;
	NO_UNROLL for (u32 start = 0; start < 8; start++) {
		u32 at = start * 8 + 40, next = start & 1 ? 43 : start & 2 ? 60 : 0;
		NO_UNROLL for (u32 n = 0; n < 8; n++) {
			if (next == 6 || next == 17 || next == 58 || at > 440)
				break;
			u8 *header = mem + at;
			u32 len = next == 44 ? 8 : ((header[1] & 7) + 1) * 8;
			// The numbers of headers, made of noise.
			u32 kind = header[0] & 15;
			next = kind < 4 ? 0 : kind < 7 ? 43 : kind < 10 ? 60 : kind < 12 ? 44 : kind < 14 ? 6 : 17;
			at += len;
		}
		u8 *l4 = mem + (at & 255);
		sum = sum * 31 + (next << 16 | at) + l4[0];
	}
	return sum;
}
BENCH(ipv6)

char LICENSE[] SEC("license") = "Dual MIT/GPL";

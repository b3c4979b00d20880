/* Our own words for clang's CO-RE builtins, and sections. SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define noinline __attribute__((noinline))

#define offset_of(field) __builtin_preserve_field_info(field, 0)
#define size_of(field) __builtin_preserve_field_info(field, 1)
#define exists(field) __builtin_preserve_field_info(field, 2)
#define is_signed(field) __builtin_preserve_field_info(field, 3)
#define lshift(field) __builtin_preserve_field_info(field, 4)
#define rshift(field) __builtin_preserve_field_info(field, 5)

#define type_exists(type) __builtin_preserve_type_info(*(typeof(type) *)0, 0)
#define type_size(type) __builtin_preserve_type_info(*(typeof(type) *)0, 1)
#define type_matches(type) __builtin_preserve_type_info(*(typeof(type) *)0, 2)
#define type_id_local(type) __builtin_btf_type_id(*(typeof(type) *)0, 0)
#define type_id_target(type) __builtin_btf_type_id(*(typeof(type) *)0, 1)

#define enum_exists(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define enum_value(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)

/* Reads a field as BPF_CORE_READ_BITFIELD does. */
#define read_bits(type, field)                                                                                  \
	SEC("socket") long bits_##field(struct type *b)                                                  \
	{                                                                                                       \
		void *at = (void *)b + offset_of(b->field);                                                     \
		u64 v = 0;                                                                                      \
		switch (size_of(b->field)) {                                                                    \
		case 1: v = *(u8 *)at; break;                                                                   \
		case 2: v = *(u16 *)at; break;                                                                  \
		case 4: v = *(u32 *)at; break;                                                                  \
		case 8: v = *(u64 *)at; break;                                                                  \
		}                                                                                               \
		v <<= lshift(b->field);                                                                         \
		return is_signed(b->field) ? (s64)v >> rshift(b->field) : v >> rshift(b->field);                \
	}

char _license[] SEC("license") = "GPL";

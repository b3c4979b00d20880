/* Maps in BTF's form and the kernel's helpers, in our own words. SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once
#include "core.h"

#define number(attribute, n) int (*attribute)[n]
#define holds(attribute, t) typeof(t) *attribute
#define elements(t) typeof(t) *values[]
#define weak __attribute__((weak))
#define hidden __attribute__((visibility("hidden")))
#define ksym __attribute__((section(".ksyms")))
#define kptr __attribute__((btf_type_tag("kptr")))
#define tag(text) __attribute__((btf_decl_tag(text)))

enum {
	HASH = 1, ARRAY, PROG_ARRAY, PERF_EVENT_ARRAY, PERCPU_HASH, PERCPU_ARRAY, STACK_TRACE, CGROUP_ARRAY, LRU_HASH,
	LRU_PERCPU_HASH, LPM_TRIE, ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP, SOCKMAP, CPUMAP, XSKMAP, SOCKHASH, CGROUP_STORAGE,
	REUSEPORT_SOCKARRAY, PERCPU_CGROUP_STORAGE, QUEUE, STACK, SK_STORAGE, DEVMAP_HASH, STRUCT_OPS, RINGBUF,
	INODE_STORAGE, TASK_STORAGE, BLOOM_FILTER, USER_RINGBUF, CGRP_STORAGE, ARENA,
};

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u64 (*ktime)(void) = (void *)5;
static long (*printk)(const char *format, u32 size, ...) = (void *)6;
static u32 (*cpu_id)(void) = (void *)8;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static u64 (*pid_tgid)(void) = (void *)14;
static long (*perf_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*stack_id)(void *ctx, void *map, u64 flags) = (void *)27;
static void *(*current_task)(void) = (void *)35;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*sk_redirect)(void *skb, void *map, u32 key, u64 flags) = (void *)52;
static long (*push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*pop)(void *map, void *value) = (void *)88;
static long (*peek)(void *map, void *value) = (void *)89;
static long (*lock)(void *lock) = (void *)93;
static long (*unlock)(void *lock) = (void *)94;
static void *(*reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*submit)(void *record, u64 flags) = (void *)132;
static long (*ring_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*this_cpu_ptr)(const void *percpu) = (void *)154;
static void *(*current_task_btf)(void) = (void *)158;
static void *(*task_storage)(void *map, void *task, void *value, u64 flags) = (void *)156;
static long (*for_each)(void *map, void *f, void *ctx, u64 flags) = (void *)164;
static long (*timer_init)(void *timer, void *map, u64 flags) = (void *)169;
static long (*timer_set_callback)(void *timer, void *f) = (void *)170;
static long (*timer_start)(void *timer, u64 ns, u64 flags) = (void *)171;
static long (*loop)(u32 n, void *f, void *ctx, u64 flags) = (void *)181;

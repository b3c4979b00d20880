//! The operations as programs, for the kernel, over one set of maps; `ours` does the same by direct calls.
//!
//! Each program does one thing [`OPS`] times. The element `state[0]` holds a counter that goes on from run to run, and how
//! often something failed. Number `i` of the counter stands for the hash `(u32)i * MIX`, of which the key is made.

use std::sync::Arc;

use skep_object::Object;
use skep_spec::{MapDef, ProgramSpec};

/// Operations of a run.
pub const OPS: u32 = 1024;
/// What counters are multiplied by to be keys in no order.
pub const MIX: u32 = 0x9e37_79b1;
/// Elements of the map that no cache holds.
pub const LARGE: u32 = 1 << 20;
/// Prefixes in the trie.
pub const PREFIXES: u32 = 10_000;

/// An operation.
pub struct Row {
    /// Name of the program.
    pub name: &'static str,
    /// What the table calls it.
    pub what: &'static str,
    /// What it should take at most, in nanoseconds.
    pub target: Option<f64>,
    /// From the hash in `w1` to the key in `w1`.
    key: &'static str,
    /// The operation on the key at `r10 - 4`: jumps to `next` when it went well.
    body: &'static str,
}

const SMALL: &str = "w1 >>= 16; w1 &= 1023";
/// Keys that nobody has put in.
const OTHER: &str = "w1 >>= 16; w1 &= 1023; w1 |= 0x40000000";

/// Goes on in any case, which the verifier's look at the flow of control does not see.
const NOTHING: &str = "if r6 != 5000 goto next";

/// All operations; the first is none.
pub const ROWS: &[Row] = &[
    Row { name: "empty", what: "empty loop", target: None, key: SMALL, body: NOTHING },
    Row {
        name: "array",
        what: "array lookup",
        target: Some(1.0),
        key: SMALL,
        body: "r1 = map[array] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "percpu_array",
        what: "per-CPU array lookup",
        target: Some(1.0),
        key: SMALL,
        body: "r1 = map[percpu_array] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "hash_hit",
        what: "hash hit",
        target: Some(20.0),
        key: SMALL,
        body: "r1 = map[hash] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "hash_miss",
        what: "hash miss",
        target: Some(15.0),
        key: OTHER,
        body: "r1 = map[hash] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 == 0 goto next",
    },
    Row {
        name: "large_hit",
        what: "hash hit, 1,048,576 elements",
        target: None,
        key: "w1 >>= 8; w1 &= 1048575",
        body: "r1 = map[large] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "percpu_hash",
        what: "per-CPU hash hit",
        target: None,
        key: SMALL,
        body: "r1 = map[percpu_hash] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "hash_update",
        what: "hash update, existing key",
        target: Some(60.0),
        key: SMALL,
        body: "*(u64 *)(r10 - 16) = r7; r1 = map[hash] ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0; \
               call bpf_map_update_elem; if r0 == 0 goto next",
    },
    Row {
        name: "insert_delete",
        what: "hash insert + delete",
        target: Some(120.0),
        key: OTHER,
        body: "*(u64 *)(r10 - 16) = r7; r1 = map[room] ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0; \
               call bpf_map_update_elem; r1 = map[room] ll; r2 = r10; r2 += -4; call bpf_map_delete_elem; \
               if r0 == 0 goto next",
    },
    Row {
        name: "lru_hit",
        what: "LRU hit",
        target: Some(25.0),
        key: SMALL,
        body: "r1 = map[lru] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: "lru_evict",
        what: "LRU evicting update",
        target: Some(150.0),
        key: "",
        body: "*(u64 *)(r10 - 16) = r7; r1 = map[lru_full] ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0; \
               call bpf_map_update_elem; if r0 == 0 goto next",
    },
    Row {
        name: "lpm",
        what: "LPM, 10,000 random prefixes",
        target: Some(80.0),
        key: "",
        body: "*(u32 *)(r10 - 8) = 32; r1 = map[lpm] ll; r2 = r10; r2 += -8; call bpf_map_lookup_elem; if r6 != 5000 goto next",
    },
    Row {
        name: "queue",
        what: "queue push + pop",
        target: Some(40.0),
        key: SMALL,
        body: "*(u64 *)(r10 - 16) = r7; r1 = map[queue] ll; r2 = r10; r2 += -16; r3 = 0; call bpf_map_push_elem; \
               r1 = map[queue] ll; r2 = r10; r2 += -16; call bpf_map_pop_elem; if r0 == 0 goto next",
    },
    Row {
        name: "bloom_push",
        what: "bloom filter push",
        target: None,
        key: SMALL,
        body: "r1 = map[bloom] ll; r2 = r10; r2 += -4; r3 = 0; call bpf_map_push_elem; if r0 == 0 goto next",
    },
    Row {
        name: "bloom_hit",
        what: "bloom filter peek, hit",
        target: None,
        key: SMALL,
        body: "r1 = map[bloom] ll; r2 = r10; r2 += -4; call bpf_map_peek_elem; if r0 == 0 goto next",
    },
    Row {
        name: "bloom_miss",
        what: "bloom filter peek, miss",
        target: None,
        key: OTHER,
        // Some of them are taken for others.
        body: "r1 = map[bloom] ll; r2 = r10; r2 += -4; call bpf_map_peek_elem; if r6 != 5000 goto next",
    },
    Row {
        name: DEVMAP_ROW,
        what: "devmap lookup",
        target: None,
        key: SMALL,
        body: "r1 = map[devmap] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
    },
    Row {
        name: RING_ROW,
        what: "ring buffer submit, 64 bytes",
        target: Some(50.0),
        key: SMALL,
        body: "r1 = map[ring] ll; r2 = 64; r3 = 0; call bpf_ringbuf_reserve; if r0 == 0 goto bad; \
               *(u64 *)(r0 + 0) = r7; r1 = r0; r2 = 1; call bpf_ringbuf_submit; goto next",
    },
];

/// The operation that only programs on packets have.
const DEVMAP_ROW: &str = "devmap";
/// The operation that wants a consumer.
pub const RING_ROW: &str = "ring";

/// The maps that the operations use.
const MAPS: &str = "\
.license GPL
.map state type=array key=4 value=16 max_entries=1
.map array type=array key=4 value=8 max_entries=1024
.map percpu_array type=percpu_array key=4 value=8 max_entries=1024
.map hash type=hash key=4 value=8 max_entries=1024
.map percpu_hash type=percpu_hash key=4 value=8 max_entries=1024
.map room type=hash key=4 value=8 max_entries=2048
.map large type=hash key=4 value=8 max_entries=1048576
.map lru type=lru_hash key=4 value=8 max_entries=4096
.map lru_full type=lru_hash key=4 value=8 max_entries=1024
.map lpm type=lpm_trie key=8 value=8 max_entries=10000 flags=BPF_F_NO_PREALLOC
.map queue type=queue value=8 max_entries=1024
.map bloom type=bloom_filter value=4 max_entries=1024
.map devmap type=devmap key=4 value=4 max_entries=1024
.map ring type=ringbuf max_entries=16777216
";

/// Maps of what two CPUs do.
const SHARED: &str = "\
.license GPL
.map state type=array key=4 value=16 max_entries=2
.map hash type=hash key=4 value=8 max_entries=ENTRIES
";

/// What two CPUs do in a map for `entries` with keys of their own, every other one of `used` (a power of two): lookups, or
/// updates.
pub fn shared(name: &str, update: bool, used: u32, entries: u32) -> ProgramSpec {
    let body = match update {
        false => "r1 = map[hash] ll; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto next",
        true => {
            "*(u64 *)(r10 - 16) = r7; r1 = map[hash] ll; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0; \
             call bpf_map_update_elem; if r0 == 0 goto next"
        }
    };
    let begin = "call bpf_get_smp_processor_id; w9 = w0; w9 &= 1; *(u32 *)(r10 - 4) = w9";
    let key = format!("w1 >>= 16; w1 &= {}; w1 |= w9", (used - 1) & !1);
    let maps = SHARED.replace("ENTRIES", &entries.to_string());
    let text = text_of((&maps, "socket"), name, begin, &key, body);
    let (mut specs, _) = assembled(&[(name, text)]);
    specs.remove(0)
}

fn text(row: &Row) -> String {
    let section = if row.name == DEVMAP_ROW { "xdp" } else { "socket" };
    text_of((MAPS, section), row.name, "*(u32 *)(r10 - 4) = 0", row.key, row.body)
}

/// The text of one operation: `begin` puts the number of its counter's element at `r10 - 4`.
fn text_of((maps, section): (&str, &str), name: &str, begin: &str, key: &str, body: &str) -> String {
    let lines = |text: &str| text.replace("; ", "\n    ");
    format!(
        "{maps}.section {section}
{name}:
    {begin}
    r1 = map[state] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 != 0 goto begin
    exit
begin:
    r8 = r0
    r7 = *(u64 *)(r8 + 0)
    r1 = r7
    r1 += {OPS}
    *(u64 *)(r8 + 0) = r1
    r6 = 0
again:
    w1 = w7
    w1 *= {MIX:#x}
    {key}
    *(u32 *)(r10 - 4) = w1
    {body}
bad:
    r1 = *(u64 *)(r8 + 8)
    r1 += 1
    *(u64 *)(r8 + 8) = r1
next:
    r7 += 1
    r6 += 1
    if r6 != {OPS} goto again
    r0 = 0
    exit
",
        begin = lines(begin),
        key = lines(key),
        body = lines(body)
    )
}

/// The program of each row, and the maps that all share.
pub fn programs() -> (Vec<ProgramSpec>, Vec<Arc<MapDef>>) {
    assembled(&ROWS.iter().map(|row| (row.name, text(row))).collect::<Vec<_>>())
}

/// The programs of some texts, and the maps that all share.
pub fn assembled(texts: &[(&str, String)]) -> (Vec<ProgramSpec>, Vec<Arc<MapDef>>) {
    let mut maps: Vec<Arc<MapDef>> = Vec::new();
    let specs = texts.iter().map(|(name, text)| {
        let text = skep::Object::parse(&format!("{name}.s"), text.as_bytes()).expect("it is well formed");
        let elf = text.to_elf(skep_isa::Endian::Little).expect("an object can hold it");
        let object = Object::parse(name, &elf).expect("it was just written");
        maps = object.maps.iter().map(|m| m.def.clone().expect("each map is whole")).collect();
        object.programs[0].spec.clone().expect("it links")
    });
    let specs = specs.collect();
    (specs, maps)
}

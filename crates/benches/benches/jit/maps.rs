//! What programs do with maps, calls and clocks: loops with one thing in them, as differences to the empty loop.

use std::cell::{OnceCell, RefCell};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skep_isa::Endian;
use skep_jit::Options;
use skep_maps::Map;
use skep_object::Object;
use skep_spec::{MapDef, ProgramSpec};
use skep_vm::{Host, NullHost, Program, Programs, fresh_version};

use crate::clock::{Contender, compare};
use crate::kernel::{self, Kernel};
use crate::ours::{Ours, is_data, maps};

/// Times that a run does its thing.
const OPS: u32 = 1024;
/// Elements of the hash.
const ELEMENTS: u32 = 10_000;
/// Tail calls that one run may make.
const TAIL_CALLS: u32 = 33;

/// A thing to do, with the key in `w1` and at `r10 - 4`.
struct Row {
    name: &'static str,
    what: &'static str,
    body: &'static str,
    /// How often a run does it.
    times: u32,
    /// What it should take at most, in words.
    target: &'static str,
}

const LOOKUP: &str = "r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 == 0 goto out";

const ROWS: &[Row] = &[
    Row { name: "empty", what: "empty loop", body: "", times: OPS, target: "" },
    Row {
        name: "add",
        what: "array lookup + atomic add",
        body: "r1 = map[array] ll; LOOKUP; r1 = 1; lock *(u64 *)(r0 + 0) += r1",
        times: OPS,
        target: "lock add + 1",
    },
    Row {
        name: "hash",
        what: "hash hit, 10,000 elements",
        body: "r1 = map[hash] ll; LOOKUP",
        times: OPS,
        target: "0.6 x kernel",
    },
    Row {
        name: "percpu",
        what: "per-CPU array lookup",
        body: "r1 = map[percpu] ll; LOOKUP",
        times: OPS,
        target: "1",
    },
    Row {
        name: "call",
        what: "call of a function",
        body: "r1 = r7; call f; r7 = r0",
        times: OPS,
        target: "kernel",
    },
    Row {
        name: "inlined",
        what: "arithmetic of that function",
        body: "r7 ^= 5; r7 *= 3",
        times: OPS,
        target: "",
    },
    Row {
        name: "ktime",
        what: "bpf_ktime_get_ns",
        body: "call bpf_ktime_get_ns",
        times: OPS,
        target: "vDSO + 2",
    },
    Row { name: "tail", what: "tail call", body: "", times: TAIL_CALLS, target: "kernel" },
];

const MAPS: &str = "\
.license GPL
.map array type=array key=4 value=8 max_entries=1024
.map percpu type=percpu_array key=4 value=8 max_entries=1024
.map hash type=hash key=4 value=8 max_entries=10000
.map progs type=prog_array key=4 value=4 max_entries=1
";

/// The text of a row.
fn text(row: &Row) -> String {
    if row.name == "tail" {
        return format!(
            "{MAPS}.section socket\ntail:\n    r2 = map[progs] ll\n    r3 = 0\n    call bpf_tail_call\n    r0 = 0\n    exit\n"
        );
    }
    let body = row.body.replace("LOOKUP", LOOKUP).replace("; ", "\n    ");
    let key = match row.name {
        "hash" => "w1 %= 10000",
        _ => "w1 &= 1023",
    };
    // Its function is there where it is called alone: dead code is refused.
    let function =
        if row.name == "call" { "f:\n    r0 = r1\n    r0 ^= 5\n    r0 *= 3\n    exit\n" } else { "" };
    format!(
        "{MAPS}.section socket
{name}:
    r6 = 0
    r7 = 0
again:
    w1 = w6
    w1 *= 0x9e3779b1
    w1 >>= 8
    {key}
    *(u32 *)(r10 - 4) = w1
    {body}
    r6 += 1
    if r6 < {OPS} goto again
out:
    r0 = 0
    exit
{function}",
        name = row.name,
    )
}

fn spec(row: &Row) -> ProgramSpec {
    let text =
        skep::Object::parse(&format!("{}.s", row.name), text(row).as_bytes()).expect("it is well formed");
    let elf = text.to_elf(Endian::Little).expect("an object can hold it");
    let object = Object::parse(row.name, &elf).expect("it was just written");
    object.programs[0].spec.clone().expect("it links")
}

/// The program that calls itself.
#[derive(Default)]
struct Itself(RefCell<Option<Arc<Program>>>, OnceCell<u64>);

impl Programs for Itself {
    fn program(&self, _: u32) -> Option<Arc<Program>> {
        self.0.borrow().clone()
    }

    fn version(&self) -> Option<u64> {
        Some(*self.1.get_or_init(fresh_version))
    }
}

fn fill(maps: &[Arc<Map>]) {
    for map in maps.iter().filter(|m| is_data(m)) {
        if map.kind() == skep_abi::MapType::HASH {
            for key in 0..ELEMENTS {
                let put = map.update_from_host(&key.to_ne_bytes(), &u64::from(key).to_ne_bytes(), 0);
                put.expect("there is room");
            }
        }
    }
}

/// A clock as the user backend has one.
struct Clock;

impl Host for Clock {
    fn ktime_ns(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn boot_ns(&self) -> u64 {
        self.ktime_ns()
    }

    fn prandom_u32(&self) -> u32 {
        4
    }

    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }

    fn printk(&self, _: &[u8]) {}
}

/// Prints the table.
pub fn print(only: Option<&str>) {
    let specs: Vec<_> = ROWS.iter().map(|row| (row, spec(row))).collect();
    // A program brings the maps that it names, in its own order.
    let mut defs: Vec<Arc<MapDef>> = Vec::new();
    for def in specs.iter().flat_map(|(_, spec)| &spec.maps) {
        if !defs.iter().any(|d| d.name == def.name) {
            defs.push(Arc::clone(def));
        }
    }
    let kernel = Kernel::new(&defs);
    if let Err(why) = &kernel {
        println!("kernel: skipped: {why}");
    }
    let bare = AtomicU64::new(0);
    let shared = maps(&defs);
    fill(&shared);
    let own = |spec: &ProgramSpec| -> Vec<Arc<Map>> {
        let place = |name: &str| defs.iter().position(|d| d.name == name).expect("all are there");
        spec.maps.iter().map(|m| Arc::clone(&shared[place(&m.name)])).collect()
    };
    let itself = Itself::default();
    let mut loaded = Vec::new();
    if let Ok(kernel) = &kernel {
        for key in 0..ELEMENTS {
            kernel.put("hash", &key.to_ne_bytes(), &u64::from(key).to_ne_bytes());
        }
        for (row, spec) in &specs {
            loaded.push(kernel.load(spec).unwrap_or_else(|e| panic!("{}: {e}", row.name)));
        }
        let tail = loaded.last().expect("there are rows");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(tail));
        kernel.put("progs", &[0; 4], &fd.to_ne_bytes());
    }
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for (i, (row, spec)) in specs.iter().enumerate() {
        if only.is_some_and(|only| i > 0 && !row.name.contains(only)) {
            continue;
        }
        let host: &dyn Host = if row.name == "ktime" { &Clock } else { &NullHost };
        let ours = Ours::new(spec, &own(spec), Some(&Options::default()));
        let mut ours = match ours {
            Ok(ours) => ours,
            Err(why) => {
                println!("{}: skipped: {why}", row.what);
                continue;
            }
        };
        if row.name == "tail" {
            let other = Ours::new(spec, &own(spec), Some(&Options::default())).expect("as before");
            *itself.0.borrow_mut() = Some(Arc::new(other.with_id(1)));
            let progs = shared.iter().find(|m| !is_data(m)).expect("it is there");
            progs.set_program(0, 1).expect("there is room");
        }
        let programs = (row.name == "tail").then_some(&itself as &dyn Programs);
        contenders.push(Contender {
            name: row.name,
            run: Box::new(move |times| _ = ours.run(host, programs, times)),
        });
        if let Some(program) = loaded.get(i) {
            contenders.push(Contender {
                name: "kernel",
                run: Box::new(move |times| _ = kernel::run(program, times)),
            });
        } else {
            contenders.push(Contender { name: "nothing", run: Box::new(|_| {}) });
        }
    }
    contenders.push(Contender {
        name: "lock add",
        run: Box::new(|times| {
            for _ in 0..times {
                for _ in 0..OPS {
                    black_box(&bare).fetch_add(1, Ordering::Relaxed);
                }
            }
        }),
    });
    contenders.push(Contender {
        name: "vDSO",
        run: Box::new(|times| {
            for _ in 0..times {
                for _ in 0..OPS {
                    black_box(Clock.ktime_ns());
                }
            }
        }),
    });
    contenders.push(Contender {
        name: "bare loop",
        run: Box::new(|times| {
            for _ in 0..times {
                for i in 0..OPS {
                    black_box(i);
                }
            }
        }),
    });
    let ns = compare(&mut contenders);
    let of = |name: &str| contenders.iter().position(|c| c.name == name).map(|at| ns[at]);
    let each = |at: usize, times: u32| ns[at] / f64::from(times);
    let with_kernel = !loaded.is_empty();
    println!("{:<30} {:>8} {:>8} {:>7}  target", "ns, net of the empty loop", "skep", "kernel", "ratio");
    for row in ROWS {
        let Some(at) = contenders.iter().position(|c| c.name == row.name) else { continue };
        let empty = |at: usize| if row.times == OPS && row.name != "empty" { ns[at] } else { 0.0 };
        let ours = each(at, row.times) - empty(0) / f64::from(OPS);
        let theirs = with_kernel.then(|| each(at + 1, row.times) - empty(1) / f64::from(OPS));
        let cell = |ns: f64| format!("{ns:.1}");
        let ratio = theirs.map_or("–".into(), |theirs| format!("{:.2}", theirs / ours));
        let theirs = theirs.map_or("–".into(), cell);
        println!("{:<30} {:>8} {theirs:>8} {ratio:>7}  {}", row.what, cell(ours), row.target);
    }
    let bare = of("bare loop").unwrap_or(0.0);
    for name in ["lock add", "vDSO"] {
        println!("{name}: {:.1} ns", of(name).map_or(0.0, |ns| (ns - bare) / f64::from(OPS)));
    }
}

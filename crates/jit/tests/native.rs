//! Random modules as machine code, beside their evaluation: with all passes and with none.
#![allow(unsafe_code, reason = "native code is called, and reads memory by its address")]

mod common;

use std::ffi::c_void;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use skep_isa::Size;
use skep_jit::code::Code;
use skep_jit::ir::eval::{self, Stop, World};
use skep_jit::ir::passes::{self, Passes};
use skep_jit::ir::random::{self, world};
use skep_jit::ir::{Cell, Func, Module, Service};
use skep_jit::lower::{Cranelift, Lowering, Seam, Wanted};

/// What services read and write.
#[repr(C)]
struct Rt {
    args: [u64; 5],
    cells: [u64; 5],
    count: u64,
}

#[repr(C)]
struct Pair {
    value: u64,
    stop: u64,
}

/// Memory where it lies.
struct Real;

impl World for Real {
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Stop> {
        let mut word = [0; 8];
        // SAFETY: modules name only bytes of the mapping and of frames, which live while they run.
        let bytes = unsafe { std::slice::from_raw_parts(addr as *const u8, size.bytes()) };
        word[..bytes.len()].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Stop> {
        // SAFETY: as in `load`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(addr as *mut u8, size.bytes()) };
        bytes.copy_from_slice(&value.to_le_bytes()[..size.bytes()]);
        Ok(())
    }

    fn enter(&mut self, _: usize) -> Result<u64, Stop> {
        unreachable!("services call nobody")
    }

    fn cell(&mut self, _: Cell) -> Result<u64, Stop> {
        unreachable!("native code reads them itself")
    }

    fn service(&mut self, _: Service, _: &[u64], _: &mut [u64; 5]) -> Result<u64, Stop> {
        unreachable!("native code asks")
    }

    fn tail_call(&mut self, _: [u64; 3]) -> Result<u64, Stop> {
        unreachable!("random modules have none")
    }
}

fn answer(rt: &mut Rt, service: Service, args: &[u64]) -> Pair {
    let mut left = rt.args;
    let value = world::answer(&mut Real, &mut rt.count, service, args, &mut left).expect("its own memory");
    rt.args = left;
    Pair { value, stop: 0 }
}

unsafe extern "C" fn helper(rt: &mut Rt, at: u64) -> Pair {
    let index = at as u16;
    let args = rt.args;
    answer(rt, Service::Helper { index }, &args[..1 + usize::from(index)])
}

unsafe extern "C" fn lookup(rt: &mut Rt, map: u64, key: u64, _pc: u64) -> Pair {
    answer(rt, Service::Lookup, &[map, key])
}

unsafe extern "C" fn call_back_next(rt: &mut Rt, returned: u64, _frame: u64) -> Pair {
    answer(rt, Service::CallBackNext, &[returned])
}

fn seam() -> Seam {
    use core::mem::offset_of;
    let address = |f: *const ()| f.expose_provenance() as u64;
    Seam {
        args: offset_of!(Rt, args) as i32,
        vcpu: offset_of!(Rt, cells) as i32,
        helper: address(helper as *const ()),
        lookup: address(lookup as *const ()),
        call_back_next: address(call_back_next as *const ()),
        ..common::seam()
    }
}

/// Pages for [`world::MEMORY`], where modules look for it.
struct Pages(*mut c_void, usize);

impl Pages {
    fn new() -> Self {
        let len = (world::MEMORY[2] - world::MEMORY[0]) as usize + 4096;
        let at = world::MEMORY[0] as *mut c_void;
        let (prot, flags) =
            (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE);
        // SAFETY: the address is free, or the call fails.
        let at = unsafe { mmap_anonymous(at, len, prot, flags) }.expect("nothing lies there");
        Self(at, len)
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut [u8]> {
        // SAFETY: parts of the mapping, which nobody else uses until native code runs.
        world::MEMORY
            .map(|at| unsafe { std::slice::from_raw_parts_mut(at as *mut u8, world::BYTES) })
            .into_iter()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`.
        unsafe { munmap(self.0, self.1) }.expect("ours");
    }
}

const ARGS: [u64; 5] = [3, 1 << 40, u64::MAX, 0, 0x8000_0000];
/// Bytes of the stack: more than frames of three functions, and of those that were put into them.
const STACK: usize = 16 * 512;

/// What native code gives, leaves in memory, and has asked for.
fn native(m: &Module, wanted: &Wanted, pages: &mut Pages) -> (u64, Vec<u8>, u64) {
    type Entry = unsafe extern "C" fn(&mut Rt, u64, u64, u64, u64, u64, u64) -> Pair;
    let machine = Cranelift.lower(m, &[true], &seam(), wanted).expect("code");
    let code = Code::place(&machine).expect("memory");
    pages.parts().for_each(|part| part.fill(7));
    let mut stack = vec![0xa5_u8; STACK + 8];
    let end = (stack.as_mut_ptr().expose_provenance() + STACK) as u64 & !7;
    let mut rt = Rt { args: [0; 5], cells: [world::VCPU; 5], count: 0 };
    let at = code.address(machine.entries[0].expect("the main function has an entry"));
    let [r1, r2, r3, r4, r5] = ARGS;
    // SAFETY: an entry that was generated for this signature and these services; `code` lives.
    let pair = unsafe {
        let entry: Entry = core::mem::transmute(core::ptr::with_exposed_provenance::<()>(at as usize));
        entry(&mut rt, end, r1, r2, r3, r4, r5)
    };
    assert_eq!(pair.stop, 0);
    (pair.value, pages.parts().flat_map(|part| part.to_vec()).collect(), rt.count)
}

#[test]
fn random_modules_mean_the_same_as_machine_code() {
    let (first, count) = match std::env::var("SKEP_PASSES").ok().and_then(|n| n.parse().ok()) {
        Some(n) => (1 << 32, n),
        None => (0, 300),
    };
    let (mut pages, mut compared) = (Pages::new(), 0);
    for seed in first..first + count {
        let m = random::module(seed);
        let mut world = world::world();
        let Ok(r0) = eval::run(&m, &mut world, Func(0), ARGS, 100_000) else { continue };
        compared += 1;
        let want = (r0, world::memory(&world), world.count);
        for passes in [Passes::NONE, Passes::ALL] {
            let mut after = m.clone();
            passes::run(&mut after, &passes, &world::array);
            let wanted = Wanted { plain: seed % 3 == 0, frame_pointers: seed % 5 == 0, ..Wanted::default() };
            let is = native(&after, &wanted, &mut pages);
            assert!(is == want, "seed {seed}, {passes:?}: {want:?} became {is:?}\n{after}");
        }
    }
    assert!(compared > count * 3 / 4, "only {compared} of {count} ended");
}

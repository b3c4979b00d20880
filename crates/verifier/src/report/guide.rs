//! What there is to say about each kind of rejection, for people: `skep explain` and `docs/errors.md`.
//!
//! `crates/testkit/tests/errors.rs` sees to it that each code is here, and that the wrong program of each is refused
//! with it and the right one accepted.

use crate::Code;

/// A kind of rejection, explained.
#[derive(Clone, Copy, Debug)]
pub struct Guide {
    /// The kind.
    pub code: Code,
    /// Why the rule is there, and what to do.
    pub advice: &'static str,
    /// Linux's words, `…` where they differ from case to case.
    pub linux: &'static [&'static str],
    /// A program that is refused so, and the same one repaired; none where a text cannot show it.
    pub example: Option<Example>,
}

/// A program in assembly that is refused, and its repair.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The one that is refused.
    pub wrong: &'static str,
    /// The one that is accepted.
    pub right: &'static str,
    /// Whether a loader without capabilities loads both.
    pub unprivileged: bool,
}

impl Code {
    /// What there is to say about it.
    pub fn guide(self) -> Option<&'static Guide> {
        GUIDES.iter().find(|g| g.code == self)
    }
}

const fn shown(wrong: &'static str, right: &'static str) -> Option<Example> {
    Some(Example { wrong, right, unprivileged: false })
}

const fn unprivileged(wrong: &'static str, right: &'static str) -> Option<Example> {
    Some(Example { wrong, right, unprivileged: true })
}

macro_rules! guides {
    ($($code:ident { $advice:literal linux: $($words:literal),*; $example:expr })*) => {
        /// Each code, in the order of [`Code::ALL`].
        pub const GUIDES: &[Guide] = &[$(Guide {
            code: Code::$code,
            advice: $advice,
            linux: &[$($words),*],
            example: $example,
        },)*];
    };
}

// Each block becomes a row of `GUIDES`.
guides! {
    Unsupported {
        "Linux may well accept the program: `skep check --linux` asks it. The message names what is missing; docs/parity.md lists what skep knows."
        linux: ;
        None
    }
    NotPermitted {
        "Only programs on sockets and for sockets of a control group are for everyone; the others need CAP_BPF, and CAP_PERFMON or CAP_NET_ADMIN besides. Load as root, or choose another type."
        linux: "(EPERM, no log)";
        unprivileged(".section xdp\nr0 = 2\nexit\n", ".section socket\nr0 = 2\nexit\n")
    }
    UnknownProgramType {
        "The number of the type is none that this environment has: a newer kernel's, or an embedder's that was not added (`Environment::add_program_type`)."
        linux: "(EINVAL, no log)";
        None
    }
    BadAttachType {
        "The section, or `expected_attach_type`, says to what the program is attached; some types have to know it when the program is loaded. Write the section in full, as SEC(\"cgroup/connect4\") or SEC(\"tp_btf/sched_switch\")."
        linux: "(EINVAL, no log)", "Tracing programs must provide btf_id";
        None
    }
    EmptyProgram {
        "The function was compiled to nothing, or a tool cut it off. A program has at least `r0 = 0; exit`."
        linux: "(E2BIG, no log)";
        None
    }
    ProgramTooLong {
        "4,096 instructions for loaders without CAP_BPF, a million for others. Loops instead of unrolling, functions that are not inlined (__noinline), or tail calls make it shorter."
        linux: "(E2BIG, no log)";
        None
    }
    BadInsn {
        "The bytes are no instruction, or a field that must be zero is not, or a constant is out of its range (a shift by 64). Compilers do not write such programs: look at what came between compiler and loader."
        linux: "unknown opcode …", "… uses reserved fields", "invalid shift …";
        shown(".section socket\nr0 = 1\nr0 <<= 64\nexit\n", ".section socket\nr0 = 1\nr0 <<= 63\nexit\n")
    }
    BadMapReference {
        "An instruction loads a map that the loader did not give the program. The object's relocation is missing or names another symbol."
        linux: "fd … is not pointing to valid bpf_map", "fd_idx without fd_array is invalid", "invalid zero-sized read";
        shown(
            ".section socket\nr1 = map[idx:3] ll\nr0 = 0\nexit\n",
            ".map counts type=array key=4 value=8 max_entries=1\n.section socket\nr1 = map[counts] ll\nr0 = 0\nexit\n",
        )
    }
    BadJump {
        "Jumps stay inside their function and lead to the first half of a 16-byte instruction. What is shared between functions goes into one of its own."
        linux: "jump out of range from insn … to …", "jump into the middle of ldimm64 insn …";
        shown(
            ".section socket\nr0 = 0\nif r1 == 0 goto +7\nexit\n",
            ".section socket\nr0 = 0\nif r1 == 0 goto out\nr0 = 1\nout: exit\n",
        )
    }
    NoExit {
        "Control runs past the last instruction of a function. Every way ends in `exit` or in a jump backwards; in C, a function that does not return (an endless loop, an unreachable default) gives such code."
        linux: "last insn is not an exit or jmp";
        shown(".section socket\nr0 = 0\n", ".section socket\nr0 = 0\nexit\n")
    }
    Unreachable {
        "Nothing leads to the instruction. Compilers leave no such code in: it was made by hand, or a tool removed the jump to it."
        linux: "unreachable insn …";
        shown(".section socket\nr0 = 0\nexit\nr0 = 1\nexit\n", ".section socket\nr0 = 0\nif r1 == 0 goto out\nr0 = 1\nout: exit\n")
    }
    BackEdge {
        "Loaders without CAP_BPF load no loops at all. Unroll the loop (#pragma unroll), or load with CAP_BPF, where loops must only end."
        linux: "back-edge from insn … to …";
        unprivileged(
            ".section socket\nr0 = 3\nagain: r0 += -1\nif r0 != 0 goto again\nexit\n",
            ".section socket\nr0 = 3\nr0 += -1\nr0 += -1\nr0 += -1\nexit\n",
        )
    }
    TooManySubprogs {
        "256 functions, the main one counted, is the most, and so many different functions of the kernel may be called. Inline small ones (__always_inline), or put parts into other programs and tail-call them."
        linux: "too many subprograms";
        None
    }
    CallDepth {
        "8 frames is the deepest chain of calls, and no function may come back to itself: a stack of 512 bytes has no room for recursion. Turn recursion into a loop, inline, or use a global function or tail call."
        linux: "the call stack of … frames is too deep";
        shown(
            ".section socket\ncall f\nexit\nf:\ncall f\nexit\n",
            ".section socket\ncall f\nexit\nf:\nr0 = 0\nexit\n",
        )
    }
    StackTooDeep {
        "512 bytes for a whole chain of calls (256 where a function below may tail-call). Put large buffers into a per-CPU array with one element, or split the function so that its parts do not nest."
        linux: "combined stack size of … calls is …. Too large";
        shown(
            ".section socket\nr1 = 0\n*(u64 *)(r10 - 400) = r1\ncall f\nexit\nf:\nr1 = 0\n*(u64 *)(r10 - 400) = r1\nr0 = 0\nexit\n",
            ".section socket\nr1 = 0\n*(u64 *)(r10 - 240) = r1\ncall f\nexit\nf:\nr1 = 0\n*(u64 *)(r10 - 240) = r1\nr0 = 0\nexit\n",
        )
    }
    Uninitialized {
        "What was never written would show what someone else left there. Initialise variables and whole structures (= {} or memset) before they are read or handed on; after a call r1 to r5 are gone, keep what is needed in r6 to r9 or on the stack."
        linux: "R… !read_ok", "invalid read from stack off …", "invalid read from stack R… off …";
        shown(
            ".section socket\nr0 = r3\nexit\n",
            ".section socket\nr3 = 1\nr0 = r3\nexit\n",
        )
    }
    FramePointerWrite {
        "r10 points to the frame, for the whole function. Copy it to another register and change that."
        linux: "frame pointer is read only";
        shown(
            ".section socket\nr10 += -8\nr0 = 0\nexit\n",
            ".section socket\nr2 = r10\nr2 += -8\nr0 = 0\nexit\n",
        )
    }
    PointerLeak {
        "Without CAP_PERFMON a program must not show kernel addresses to anyone: not return, store, compare or compute with them. Return and store numbers, or load with CAP_PERFMON."
        linux: "R0 leaks addr as return value", "R… leaks addr into …", "R… pointer comparison prohibited", "R… pointer arithmetic … prohibited";
        unprivileged(
            ".section socket\nr0 = r10\nexit\n",
            ".section socket\nr0 = 0\nexit\n",
        )
    }
    BadPointerArithmetic {
        "Pointers take additions and subtractions of bounded numbers only, and some kinds none at all. Compute the offset as a number, bound it, and add it last; check for NULL before adding."
        linux: "R… pointer arithmetic on … prohibited", "R… pointer arithmetic with … operator prohibited", "math between … pointer and register with unbounded min value is not allowed", "R… 32-bit pointer arithmetic prohibited";
        shown(
            ".section xdp\nr1 *= 2\nr1 = *(u32 *)(r1 + 0)\nr0 = 2\nexit\n",
            ".section xdp\nr1 = *(u32 *)(r1 + 0)\nr0 = 2\nexit\n",
        )
    }
    NullPointer {
        "Lookups and allocations give NULL when there is nothing. Compare the result with 0, and use it only where it is not; the comparison counts for copies of it too."
        linux: "R… invalid mem access 'map_value_or_null'", "R… type=…_or_null expected=…", "Possibly NULL pointer passed to trusted arg…";
        shown(
            ".map counts type=hash key=4 value=8 max_entries=1\n.section socket\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[counts] ll\ncall bpf_map_lookup_elem\nr0 = *(u64 *)(r0 + 0)\nexit\n",
            ".map counts type=hash key=4 value=8 max_entries=1\n.section socket\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[counts] ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout: r0 = 0\nexit\n",
        )
    }
    NotAPointer {
        "The register holds a number, or an address that has become one: by arithmetic, by going through memory that does not keep pointers, or at a call that takes it away. Keep the pointer whole; memory of the kernel that you have a number for is read with bpf_probe_read_kernel."
        linux: "R… invalid mem access 'scalar'", "R… type=scalar expected=…";
        shown(
            ".section socket\nr2 = 64\nr0 = *(u64 *)(r2 + 0)\nexit\n",
            ".section socket\n*(u64 *)(r10 - 8) = 64\nr2 = r10\nr0 = *(u64 *)(r2 - 8)\nexit\n",
        )
    }
    OutOfBounds {
        "Offset and size must lie inside the object for every value that is possible here. Bound an index on both sides before it is added (`if (i >= N) return`, or `i &= N - 1` with an unsigned i), and compare packet pointers with data_end, this very pointer and the whole size, before each access."
        linux: "invalid access to packet, off=… size=…, R…(id=…,off=…,r=…)", "R… offset is outside of the packet", "invalid access to map value, value_size=… off=… size=…", "R… max value is outside of the allowed memory range", "R… min value is negative, …", "R… unbounded memory access, …", "invalid variable-offset … stack R…";
        shown(
            ".section xdp\nr2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 13)\nexit\n",
            ".section xdp\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 14\nr0 = 2\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 + 13)\nout: exit\n",
        )
    }
    Misaligned {
        "Values on the stack lie at multiples of their size; packets too where the machine wants it. Use fields of the structure's natural layout, or copy bytes (memcpy, bpf_skb_load_bytes)."
        linux: "misaligned stack access off …", "misaligned packet access off …", "misaligned value access off …";
        unprivileged(
            ".section socket\n*(u64 *)(r10 - 12) = 0\nr0 = 0\nexit\n",
            ".section socket\n*(u64 *)(r10 - 16) = 0\nr0 = 0\nexit\n",
        )
    }
    ForbiddenAccess {
        "The memory is there, but not for this: constants and keys are not written, spilled pointers are stored and loaded whole, atomics work on few kinds of memory. Copy to the stack and work on the copy."
        linux: "write into map forbidden, …", "R… cannot write into …", "cannot write into packet", "BPF_ATOMIC stores into R… … is not allowed", "same insn cannot be used with different pointers";
        shown(
            ".section xdp\nr2 = 1\nr2 = atomic_fetch_add((u64 *)(r1 + 0), r2)\nr0 = 2\nexit\n",
            ".section xdp\n*(u64 *)(r10 - 8) = 0\nr2 = 1\nr2 = atomic_fetch_add((u64 *)(r10 - 8), r2)\nr0 = 2\nexit\n",
        )
    }
    BadContextAccess {
        "A context has fixed fields, each with its size, and each program type sees its own. Access fields by name through the UAPI's structure, at their full size unless narrow loads are allowed."
        linux: "invalid bpf_context access off=… size=…", "dereference of modified ctx ptr R… off=… disallowed";
        shown(
            ".section xdp\nr0 = *(u64 *)(r1 + 0)\nr0 = 2\nexit\n",
            ".section xdp\nr0 = *(u32 *)(r1 + 0)\nr0 = 2\nexit\n",
        )
    }
    UnknownHelper {
        "Which helpers there are depends on the program's type, its attach type and the loader's capabilities. `skep feature` and bpf-helpers(7) say which; another type of program may have it, or another helper does the same."
        linux: "program of this type cannot use helper …", "invalid func …";
        shown(
            ".section socket\nr2 = 0\ncall bpf_xdp_adjust_head\nr0 = 0\nexit\n",
            ".section xdp\nr2 = 0\ncall bpf_xdp_adjust_head\nr0 = 2\nexit\n",
        )
    }
    GplOnly {
        "The program's licence must be compatible with the GPL: char LICENSE[] SEC(\"license\") = \"GPL\" (or \"Dual MIT/GPL\", \"Dual BSD/GPL\" …)."
        linux: "cannot call GPL-restricted function from non-GPL compatible program";
        shown(
            ".license Proprietary\n.section kprobe\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit\n",
            ".license GPL\n.section kprobe\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit\n",
        )
    }
    BadArgument {
        "Each argument of a helper or kernel function wants a kind of value: the context as it came, a map, memory that is initialised and as long as the size that goes with it, a size that is bounded. The explanation names the argument."
        linux: "R… type=… expected=…", "R… min value is negative, either use unsigned or 'var &= const'", "R… unbounded memory access, use 'var &= const' or 'if (var < const)'", "R… invalid zero-sized read";
        shown(
            ".section socket\nr6 = r1\nr1 = r10\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr0 = 0\nexit\n",
            ".section socket\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr0 = 0\nexit\n",
        )
    }
    BadMapForHelper {
        "The helper does its work on some types of maps only: ring buffers have no keys, program arrays are for tail calls. Use the helper that goes with the map's type."
        linux: "cannot pass map_type … into func …";
        shown(
            ".map progs type=prog_array key=4 value=4 max_entries=4\n.section socket\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[progs] ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit\n",
            ".map progs type=prog_array key=4 value=4 max_entries=4\n.section socket\nr2 = map[progs] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit\n",
        )
    }
    Reference {
        "What a helper acquires for the program (a socket, a ring buffer's record, an object) is given back exactly once on every path, early returns among them, and not used afterwards."
        linux: "Unreleased reference id=… alloc_insn=…", "R… must be referenced when passed to release function", "BPF_EXIT instruction in main prog would lead to reference leak";
        shown(
            ".map ring type=ringbuf max_entries=4096\n.section socket\nr1 = map[ring] ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 0\nexit\n",
            ".map ring type=ringbuf max_entries=4096\n.section socket\nr1 = map[ring] ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_discard\nout: r0 = 0\nexit\n",
        )
    }
    Lock {
        "Between bpf_spin_lock and bpf_spin_unlock stand only a few instructions: no calls, no exit, no second lock. Prepare before, unlock on every path, and report afterwards. The lock's own bytes are left alone."
        linux: "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region", "function calls are not allowed while holding a lock", "bpf_spin_unlock without taking a lock", "bpf_spin_unlock of different lock", "direct access to bpf_spin_lock is not allowed …";
        shown(
            ".map locked type=array key=4 value=16 max_entries=1 lock=4\n.section tc\nr1 = map[locked][0]+0 ll\nr1 += 4\ncall bpf_spin_lock\nr0 = 0\nexit\n",
            ".map locked type=array key=4 value=16 max_entries=1 lock=4\n.section tc\nr6 = map[locked][0]+0 ll\nr1 = r6\nr1 += 4\ncall bpf_spin_lock\nr1 = r6\nr1 += 4\ncall bpf_spin_unlock\nr0 = 0\nexit\n",
        )
    }
    BadReturnValue {
        "The kernel acts on what the program returns, so it must be one of the values that the attach point knows, and a number. Return constants, or bound what is computed."
        linux: "At program exit the register R0 has smin=… smax=… should have been in […, …]", "At program exit the register R0 is not a known value (…)";
        shown(
            ".section cgroup_skb/ingress\nr0 = 7\nexit\n",
            ".section cgroup_skb/ingress\nr0 = 1\nexit\n",
        )
    }
    InfiniteLoop {
        "Once around the loop nothing has changed that anything depends on, so it would never end. Let a counter that is known here run to a constant; bpf_loop, iterators (bpf_for) and may_goto (can_loop) do for bounds that are not known."
        linux: "infinite loop detected at insn …";
        shown(
            ".section socket\nr0 = 0\nagain: goto over\nover: if r0 == 0 goto again\nexit\n",
            ".section socket\nr0 = 8\nagain: r0 += -1\nif r0 != 0 goto again\nexit\n",
        )
    }
    TooComplex {
        "A million instructions, over all paths, is what the verifier takes upon it, and 8,192 open branches. `skep check --stats` shows the lines that cost most. Fewer branches in loops, values that are forgotten early, global functions (verified once), bpf_loop instead of an unrolled loop."
        linux: "BPF program is too large. Processed … insn", "The sequence of … jumps is too complex.";
        shown(
            ".section socket\nr0 = 2000000\nagain: r0 += -1\nif r0 != 0 goto again\nexit\n",
            ".section socket\nr0 = 2000\nagain: r0 += -1\nif r0 != 0 goto again\nexit\n",
        )
    }
}

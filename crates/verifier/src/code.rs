//! The kinds of rejection.

use core::fmt;

macro_rules! codes {
    ($($id:ident $word:literal $doc:literal,)*) => {
        /// Why a program was refused, in one word that stays the same over releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $doc] $id,)* }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The word, as `null_pointer`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$id => $word,)* }
            }

            /// What the code means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
        }
    };
}

// Each row becomes a variant, and an arm of `as_str` and of `meaning`.
codes! {
    Unsupported "unsupported" "skep does not know the feature yet; the program may be fine.",
    NotPermitted "not_permitted" "The loader lacks a capability that the program type needs.",
    UnknownProgramType "unknown_program_type" "The environment has no such program type.",
    BadAttachType "bad_attach_type" "Programs of this type are not loaded with this expected attach type.",
    EmptyProgram "empty_program" "The program has no instructions.",
    ProgramTooLong "program_too_long" "The program has more instructions than its loader may load.",
    BadInsn "bad_insn" "A slot is not an instruction, or a reserved field is not zero.",
    BadMapReference "bad_map_reference" "An instruction names a map that the program does not have.",
    BadJump "bad_jump" "A jump leaves its function or lands inside an instruction.",
    NoExit "no_exit" "A function can run past its last instruction.",
    Unreachable "unreachable" "An instruction can never run.",
    BackEdge "back_edge" "A loop in a program of an unprivileged loader.",
    TooManySubprogs "too_many_subprogs" "The program has more than 256 functions, or calls more of the kernel's.",
    CallDepth "call_depth" "Calls nest deeper than 8 frames, or recurse.",
    StackTooDeep "stack_too_deep" "The stack of the call chain is larger than allowed.",
    Uninitialized "uninitialized" "A register or stack byte is read before it is written.",
    FramePointerWrite "frame_pointer_write" "r10 is read only.",
    PointerLeak "pointer_leak" "An unprivileged program would reveal a kernel address.",
    BadPointerArithmetic "bad_pointer_arithmetic" "Arithmetic that a pointer of this kind does not allow.",
    NullPointer "null_pointer" "A pointer that may be NULL is used without a check.",
    NotAPointer "not_a_pointer" "A number is used as an address.",
    OutOfBounds "out_of_bounds" "An access may lie outside its object.",
    Misaligned "misaligned" "An access is not aligned as its memory requires.",
    ForbiddenAccess "forbidden_access" "The memory may not be accessed in this way.",
    BadContextAccess "bad_context_access" "The context has no field there, or not for this access.",
    UnknownHelper "unknown_helper" "There is no helper of this number or the program type cannot use it.",
    GplOnly "gpl_only" "The helper or function is for GPL-compatible programs only.",
    BadArgument "bad_argument" "A call's argument is not what the callee needs.",
    BadMapForHelper "bad_map_for_helper" "The helper does not take maps of this type.",
    Reference "reference" "A reference is not released, or released twice.",
    Lock "lock" "A spin lock is not given back, or something is done while it is held that may not be.",
    BadReturnValue "bad_return_value" "The program returns a value outside the range of its type.",
    InfiniteLoop "infinite_loop" "A loop makes no progress.",
    TooComplex "too_complex" "The program has too many paths or states to verify.",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! The prepared form of a program: one fixed-size operation per slot, selectors resolved, jump targets
//! absolute.
//!
//! An index into the prepared code is a slot number of the program, so traps and traces need no translation. Where
//! compilers write the same two or three instructions again and again, the first slot does all of them and goes on
//! behind; the others stay as they are, for jumps.
//! Behind the last slot stands [`Code::Outside`], and every jump that leaves the program leads there.

use alloc::vec::Vec;

use crate::held::held;
use skep_isa::{
    AluOp, AtomicOp, CallTarget, DecodeError, Imm64, Insn, JumpOp, Op, Operand, PacketMode, Reg, Size,
    SwapKind, Width, decode,
};

use crate::callback::{self, CallBack};
use crate::helpers::StackHelper;

/// Lists the two-operand operations and comparisons with the names of their prepared forms: 64-bit by
/// register and by constant, 32-bit by register and by constant.
///
/// `operations!(m)` becomes `m! { alu { Add Add64 Add64Imm Add32 Add32Imm, …; … } jump { Eq Jeq64 …; … } … }`;
/// the consumers are the enum, the preparation and the dispatch. Names in `A` take the first operand from the
/// accumulator (see `held`), those in `S` the second.
///
/// The other sections are sequences that one operation does in one go, since compilers write them often: two
/// ALU operations, an ALU operation before a branch, a load before an ALU operation, and `indexed`: the sum of two
/// registers in a third, and a load from there. What they compute is what their parts do, in order.
macro_rules! operations {
    ($consumer:ident) => {
        $consumer! {
            alu {
                Add Add64 Add64Imm Add32 Add32Imm, Add64A Add64ImmA Add32A Add32ImmA, Add64S Add32S;
                Sub Sub64 Sub64Imm Sub32 Sub32Imm, Sub64A Sub64ImmA Sub32A Sub32ImmA, Sub64S Sub32S;
                Mul Mul64 Mul64Imm Mul32 Mul32Imm, Mul64A Mul64ImmA Mul32A Mul32ImmA, Mul64S Mul32S;
                Div Div64 Div64Imm Div32 Div32Imm, Div64A Div64ImmA Div32A Div32ImmA, Div64S Div32S;
                Sdiv Sdiv64 Sdiv64Imm Sdiv32 Sdiv32Imm, Sdiv64A Sdiv64ImmA Sdiv32A Sdiv32ImmA, Sdiv64S Sdiv32S;
                Or Or64 Or64Imm Or32 Or32Imm, Or64A Or64ImmA Or32A Or32ImmA, Or64S Or32S;
                And And64 And64Imm And32 And32Imm, And64A And64ImmA And32A And32ImmA, And64S And32S;
                Lsh Lsh64 Lsh64Imm Lsh32 Lsh32Imm, Lsh64A Lsh64ImmA Lsh32A Lsh32ImmA, Lsh64S Lsh32S;
                Rsh Rsh64 Rsh64Imm Rsh32 Rsh32Imm, Rsh64A Rsh64ImmA Rsh32A Rsh32ImmA, Rsh64S Rsh32S;
                Mod Mod64 Mod64Imm Mod32 Mod32Imm, Mod64A Mod64ImmA Mod32A Mod32ImmA, Mod64S Mod32S;
                Smod Smod64 Smod64Imm Smod32 Smod32Imm, Smod64A Smod64ImmA Smod32A Smod32ImmA, Smod64S Smod32S;
                Xor Xor64 Xor64Imm Xor32 Xor32Imm, Xor64A Xor64ImmA Xor32A Xor32ImmA, Xor64S Xor32S;
                Mov Mov64 Mov64Imm Mov32 Mov32Imm, Mov64A Mov64ImmA Mov32A Mov32ImmA, Mov64S Mov32S;
                Arsh Arsh64 Arsh64Imm Arsh32 Arsh32Imm, Arsh64A Arsh64ImmA Arsh32A Arsh32ImmA, Arsh64S Arsh32S;
            }
            jump {
                Eq Jeq64 Jeq64Imm Jeq32 Jeq32Imm;
                Ne Jne64 Jne64Imm Jne32 Jne32Imm;
                Set Jset64 Jset64Imm Jset32 Jset32Imm;
                Gt Jgt64 Jgt64Imm Jgt32 Jgt32Imm;
                Ge Jge64 Jge64Imm Jge32 Jge32Imm;
                Lt Jlt64 Jlt64Imm Jlt32 Jlt32Imm;
                Le Jle64 Jle64Imm Jle32 Jle32Imm;
                Sgt Jsgt64 Jsgt64Imm Jsgt32 Jsgt32Imm;
                Sge Jsge64 Jsge64Imm Jsge32 Jsge32Imm;
                Slt Jslt64 Jslt64Imm Jslt32 Jslt32Imm;
                Sle Jsle64 Jsle64Imm Jsle32 Jsle32Imm;
            }
            pairs {
                Mov64Add64 Mov64Add64A: same, Mov W64 reg, Add W64 reg;
                Mov64Add64Imm Mov64Add64ImmA: same, Mov W64 reg, Add W64 imm;
                Mov64Sub64 Mov64Sub64A: same, Mov W64 reg, Sub W64 reg;
                Mov64And64Imm Mov64And64ImmA: same, Mov W64 reg, And W64 imm;
                Mov64Or64 Mov64Or64A: same, Mov W64 reg, Or W64 reg;
                Mov64Or64Imm Mov64Or64ImmA: same, Mov W64 reg, Or W64 imm;
                Mov64Xor64 Mov64Xor64A: same, Mov W64 reg, Xor W64 reg;
                Mov64Lsh64Imm Mov64Lsh64ImmA: same, Mov W64 reg, Lsh W64 imm;
                Mov64Rsh64Imm Mov64Rsh64ImmA: same, Mov W64 reg, Rsh W64 imm;
                Mov64Mul64Imm Mov64Mul64ImmA: same, Mov W64 reg, Mul W64 imm;
                Mov64Mov64 Mov64Mov64A: apart, Mov W64 reg, Mov W64 reg;
                Mov64ImmMov64Imm Mov64ImmMov64ImmA: apart, Mov W64 imm, Mov W64 imm;
                Mov32Add32 Mov32Add32A: same, Mov W32 reg, Add W32 reg;
                Mov32Add32Imm Mov32Add32ImmA: same, Mov W32 reg, Add W32 imm;
                Mov32And32Imm Mov32And32ImmA: same, Mov W32 reg, And W32 imm;
                Mov32Lsh32Imm Mov32Lsh32ImmA: same, Mov W32 reg, Lsh W32 imm;
                Mov32Rsh32Imm Mov32Rsh32ImmA: same, Mov W32 reg, Rsh W32 imm;
                Mov32Rsh32 Mov32Rsh32A: same, Mov W32 reg, Rsh W32 reg;
                Mov32Mul32 Mov32Mul32A: same, Mov W32 reg, Mul W32 reg;
                Mov32Mod32 Mov32Mod32A: same, Mov W32 reg, Mod W32 reg;
                Mov32Xor32 Mov32Xor32A: same, Mov W32 reg, Xor W32 reg;
                Mov32Lsh64Imm Mov32Lsh64ImmA: same, Mov W32 reg, Lsh W64 imm;
                Mov32Mov32 Mov32Mov32A: apart, Mov W32 reg, Mov W32 reg;
                Mov32Mov32Imm Mov32Mov32ImmA: apart, Mov W32 reg, Mov W32 imm;
                Mov32ImmMov32Imm Mov32ImmMov32ImmA: apart, Mov W32 imm, Mov W32 imm;
                Lsh64ImmOr64 Lsh64ImmOr64A: same, Lsh W64 imm, Or W64 reg;
                Lsh64ImmXor64 Lsh64ImmXor64A: same, Lsh W64 imm, Xor W64 reg;
                Lsh64ImmAdd64 Lsh64ImmAdd64A: same, Lsh W64 imm, Add W64 reg;
                Lsh32ImmAdd32 Lsh32ImmAdd32A: same, Lsh W32 imm, Add W32 reg;
                Lsh64ImmRsh64Imm Lsh64ImmRsh64ImmA: same, Lsh W64 imm, Rsh W64 imm;
                Lsh64ImmArsh64Imm Lsh64ImmArsh64ImmA: same, Lsh W64 imm, Arsh W64 imm;
                Lsh32ImmOr32 Lsh32ImmOr32A: same, Lsh W32 imm, Or W32 reg;
                Lsh32ImmArsh32Imm Lsh32ImmArsh32ImmA: same, Lsh W32 imm, Arsh W32 imm;
                Rsh64ImmXor64 Rsh64ImmXor64A: same, Rsh W64 imm, Xor W64 reg;
                Rsh64ImmAdd64 Rsh64ImmAdd64A: same, Rsh W64 imm, Add W64 reg;
                Rsh64ImmAnd64Imm Rsh64ImmAnd64ImmA: same, Rsh W64 imm, And W64 imm;
                Rsh32ImmAnd32Imm Rsh32ImmAnd32ImmA: same, Rsh W32 imm, And W32 imm;
                Rsh32And32Imm Rsh32And32ImmA: same, Rsh W32 reg, And W32 imm;
                Mul64ImmAdd64 Mul64ImmAdd64A: into, Mul W64 imm, Add W64 reg;
                Xor64Mul64Imm Xor64Mul64ImmA: same, Xor W64 reg, Mul W64 imm;
                Add64Xor64 Add64Xor64A: into, Add W64 reg, Xor W64 reg;
                Add64Add64Imm Add64Add64ImmA: same, Add W64 reg, Add W64 imm;
                Add64ImmAdd64Imm Add64ImmAdd64ImmA: apart, Add W64 imm, Add W64 imm;
                Add32Add32Imm Add32Add32ImmA: same, Add W32 reg, Add W32 imm;
                Add32Sub32 Add32Sub32A: apart, Add W32 reg, Sub W32 reg;
                Sub32Xor32 Sub32Xor32A: same, Sub W32 reg, Xor W32 reg;
                Or32Add32 Or32Add32A: apart, Or W32 reg, Add W32 reg;
                Or64Add64 Or64Add64A: same, Or W64 reg, Add W64 reg;
                Or64ImmSub64 Or64ImmSub64A: same, Or W64 imm, Sub W64 reg;
            }
            branches {
                Add64ImmJNe64Imm: Add W64 imm, Ne W64 imm;
                Add64ImmJEq64Imm: Add W64 imm, Eq W64 imm;
                Add64ImmJLt64Imm: Add W64 imm, Lt W64 imm;
                Add64ImmJGt64: Add W64 imm, Gt W64 reg;
                Add64ImmJLt64: Add W64 imm, Lt W64 reg;
                Add32ImmJNe32Imm: Add W32 imm, Ne W32 imm;
                Add32ImmJLt32Imm: Add W32 imm, Lt W32 imm;
                Add32ImmJLt32: Add W32 imm, Lt W32 reg;
                Add32ImmJGt32Imm: Add W32 imm, Gt W32 imm;
                Add32ImmJSgt32Imm: Add W32 imm, Sgt W32 imm;
                And64ImmJEq64Imm: And W64 imm, Eq W64 imm;
                And64ImmJNe64Imm: And W64 imm, Ne W64 imm;
                And32ImmJEq32Imm: And W32 imm, Eq W32 imm;
                And32ImmJNe32Imm: And W32 imm, Ne W32 imm;
                And32ImmJGt32Imm: And W32 imm, Gt W32 imm;
                Mov64JNe32Imm: Mov W64 reg, Ne W32 imm;
                Mov64JNe64Imm: Mov W64 reg, Ne W64 imm;
                Mov64JEq64Imm: Mov W64 reg, Eq W64 imm;
                Mov32JNe32Imm: Mov W32 reg, Ne W32 imm;
                Mov32JLe32: Mov W32 reg, Le W32 reg;
                Mov32ImmJNe32Imm: Mov W32 imm, Ne W32 imm;
                Mov32ImmJEq32Imm: Mov W32 imm, Eq W32 imm;
                Mov32ImmJGt32Imm: Mov W32 imm, Gt W32 imm;
                Mov32ImmJLt32Imm: Mov W32 imm, Lt W32 imm;
                Or32ImmJLt64Imm: Or W32 imm, Lt W64 imm;
                Rsh64ImmJLt64Imm: Rsh W64 imm, Lt W64 imm;
                Lsh32ImmJLt64Imm: Lsh W32 imm, Lt W64 imm;
                Mul32JGt32: Mul W32 reg, Gt W32 reg;
                Arsh32ImmJSlt32Imm: Arsh W32 imm, Slt W32 imm;
            }
            loaded {
                LoadBLsh32Imm LoadBLsh32ImmC: same, u8 B, Lsh W32 imm;
                LoadBLsh64Imm LoadBLsh64ImmC: same, u8 B, Lsh W64 imm;
                LoadBAnd32Imm LoadBAnd32ImmC: same, u8 B, And W32 imm;
                LoadBRsh32Imm LoadBRsh32ImmC: same, u8 B, Rsh W32 imm;
                LoadBOr32 LoadBOr32C: into, u8 B, Or W32 reg;
                LoadBOr64 LoadBOr64C: into, u8 B, Or W64 reg;
                LoadBXor32 LoadBXor32C: into, u8 B, Xor W32 reg;
                LoadBAdd64 LoadBAdd64C: into, u8 B, Add W64 reg;
                LoadHAdd64 LoadHAdd64C: into, u16 H, Add W64 reg;
                LoadWAdd32 LoadWAdd32C: same, u32 W, Add W32 reg;
                LoadWAdd64 LoadWAdd64C: into, u32 W, Add W64 reg;
                LoadWMov32 LoadWMov32C: into, u32 W, Mov W32 reg;
                LoadDwXor64 LoadDwXor64C: into, u64 DW, Xor W64 reg;
                LoadDwAdd64 LoadDwAdd64C: into, u64 DW, Add W64 reg;
            }
            indexed {
                IndexedB IndexedBA: u8 B;
                IndexedH IndexedHA: u16 H;
                IndexedW IndexedWA: u32 W;
                IndexedDw IndexedDwA: u64 DW;
            }
        }
    };
}
pub(crate) use operations;

macro_rules! define {
    (
        alu { $(
            $alu:ident $a64:ident $a64i:ident $a32:ident $a32i:ident,
            $a64a:ident $a64ia:ident $a32a:ident $a32ia:ident, $a64s:ident $a32s:ident;
        )* }
        jump { $($jump:ident $j64:ident $j64i:ident $j32:ident $j32i:ident;)* }
        pairs { $(
            $pair:ident $paira:ident: $pm:ident,
            $pa:ident $paw:ident $pak:ident, $pb:ident $pbw:ident $pbk:ident;
        )* }
        branches { $($branch:ident: $ba:ident $baw:ident $bak:ident, $bj:ident $bjw:ident $bjk:ident;)* }
        loaded { $(
            $loaded:ident $loadedc:ident: $lm:ident, $lt:ident $lsize:ident, $lb:ident $lbw:ident $lbk:ident;
        )* }
        indexed { $($indexed:ident $indexeda:ident: $it:ident $isize:ident;)* }
    ) => {
        /// A prepared operation. `d` and `s` are registers, `to` a slot number.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Code {
            $(
                $a64 { d: R, s: R },
                $a64i { d: R, imm: i32 },
                $a32 { d: R, s: R },
                $a32i { d: R, imm: i32 },
                $a64a { d: R, s: R },
                $a64ia { d: R, imm: i32 },
                $a32a { d: R, s: R },
                $a32ia { d: R, imm: i32 },
                $a64s { d: R },
                $a32s { d: R },
            )*
            $(
                $j64 { d: R, s: R, to: u32 },
                $j64i { d: R, imm: i32, to: u32 },
                $j32 { d: R, s: R, to: u32 },
                $j32i { d: R, imm: i32, to: u32 },
            )*
            Neg { width: Width, d: R },
            MovSx { width: Width, from: Size, d: R, s: R },
            Swap { kind: SwapKind, size: Size, d: R },
            /// Two slots.
            Const { d: R, value: u64 },
            LoadB { d: R, s: R, off: i16 },
            LoadH { d: R, s: R, off: i16 },
            LoadW { d: R, s: R, off: i16 },
            LoadDw { d: R, s: R, off: i16 },
            LoadBA { d: R, off: i16 },
            LoadHA { d: R, off: i16 },
            LoadWA { d: R, off: i16 },
            LoadDwA { d: R, off: i16 },
            LoadSx { size: Size, d: R, s: R, off: i16 },
            StoreB { d: R, s: R, off: i16 },
            StoreH { d: R, s: R, off: i16 },
            StoreW { d: R, s: R, off: i16 },
            StoreDw { d: R, s: R, off: i16 },
            StoreImm { size: Size, d: R, off: i16, imm: i32 },
            // The atomic operation that counts, without a fetch.
            AtomicAddW { d: R, s: R, off: i16 },
            AtomicAddDw { d: R, s: R, off: i16 },
            Atomic { size: Size, op: AtomicOp, d: R, s: R, off: i16 },
            LoadAcquire { size: Size, d: R, s: R, off: i16 },
            StoreRelease { size: Size, d: R, s: R, off: i16 },
            PacketAbsB { imm: i32 },
            PacketAbsH { imm: i32 },
            PacketAbsW { imm: i32 },
            PacketInd { size: Size, s: R, imm: i32 },
            Jump { to: u32 },
            MayGoto { to: u32 },
            /// `index` into the helper table.
            Helper { index: u16 },
            Stack { helper: StackHelper },
            /// `bpf_map_lookup_elem`, the helper that is called most.
            Lookup,
            TailCall,
            CallBack { call: CallBack },
            Subprog { to: u32 },
            Exit,
            /// Accesses the arena, as the instruction of this number among those that do.
            Arena { index: u32 },
            /// Turns an address in the arena into the host's.
            CastUser { d: R, s: R },
            /// Leaves all functions, and goes on at a slot, or leaves the program ([`NO_CALLBACK`]).
            Throw { to: u32 },
            /// Anything that traps when it is reached.
            Refuse(Refusal),
            /// Behind the last slot.
            Outside,
            // Two slots: an unused register or constant of a part means nothing.
            $($pair { d: R, s: R, d2: R, s2: R, imm: i32, imm2: i32 },)*
            $($paira { d: R, s: R, d2: R, s2: R, imm: i32, imm2: i32 },)*
            $($branch { d: R, s: R, d2: R, imm: i16, s2: R, imm2: i32, to: u32 },)*
            $($loaded { d: R, s: R, off: i16, d2: R, s2: R, imm2: i32 },)*
            $($loadedc { d: R, s: R, off: i16, d2: R, s2: R, imm2: i32 },)*
            // Three slots: `sum = s; sum += s2; d = *(sum + off)`.
            $($indexed { sum: R, s: R, s2: R, d: R, off: i16 },)*
            // As `indexed`, `s2` being the accumulator.
            $($indexeda { sum: R, s: R, d: R, off: i16 },)*
        }

        /// The operation that does what the instructions at a slot and behind it do; none if no row fits. The
        /// accumulator holds `held`.
        fn fuse(
            first: &Op,
            second: &Op,
            third: Option<&Op>,
            held: Option<Reg>,
            target: impl Fn(i32) -> u32,
        ) -> Option<Code> {
            if let (
                Op::Alu { op: AluOp::Mov, width: Width::W64, dst: sum, src: Operand::Reg(s) },
                Op::Alu { op: AluOp::Add, width: Width::W64, dst, src: Operand::Reg(s2) },
                Some(Op::Load { size, signed: false, dst: d, src, off }),
            ) = (first, second, third)
                && sum == dst
                && sum == src
            {
                // Without the sum among them, the two can change places.
                let other = match held {
                    Some(held) if held == *s2 && s2 != sum => Some(*s),
                    Some(held) if held == *s && s2 != sum => Some(*s2),
                    _ => None,
                };
                let (sum, s, s2, d, off) = ((*sum).into(), (*s).into(), (*s2).into(), (*d).into(), *off);
                return Some(match (size, other.map(R::from)) {
                    $(
                        (Size::$isize, None) => Code::$indexed { sum, s, s2, d, off },
                        (Size::$isize, Some(s)) => Code::$indexeda { sum, s, d, off },
                    )*
                });
            }
            match (*first, *second) {
                $(
                    (
                        Op::Alu { op: AluOp::$pa, width: Width::$paw, dst, src },
                        Op::Alu { op: AluOp::$pb, width: Width::$pbw, dst: dst2, src: src2 },
                    ) if kind!($pak, src) && kind!($pbk, src2) && linked!($pm, dst, dst2, src2) => {
                        let (d, d2, s, s2) = (dst.into(), dst2.into(), register(src), register(src2));
                        let (imm, imm2) = (constant(src), constant(src2));
                        Some(if held.is_some() && held == first_operand(AluOp::$pa, dst, src) {
                            Code::$paira { d, s, d2, s2, imm, imm2 }
                        } else {
                            Code::$pair { d, s, d2, s2, imm, imm2 }
                        })
                    }
                )*
                $(
                    (
                        Op::Alu { op: AluOp::$ba, width: Width::$baw, dst, src },
                        Op::JumpIf { width: Width::$bjw, op: JumpOp::$bj, dst: dst2, src: src2, off },
                    ) if kind!($bak, src) && kind!($bjk, src2) && short(src).is_some() => Some(Code::$branch {
                        d: dst.into(),
                        s: register(src),
                        d2: dst2.into(),
                        imm: short(src).unwrap_or(0),
                        s2: register(src2),
                        imm2: constant(src2),
                        to: target(off.into()),
                    }),
                )*
                $(
                    (
                        Op::Load { size: Size::$lsize, signed: false, dst, src, off },
                        Op::Alu { op: AluOp::$lb, width: Width::$lbw, dst: dst2, src: src2 },
                    ) if kind!($lbk, src2) => {
                        let (d, s, d2, s2) = (dst.into(), src.into(), dst2.into(), register(src2));
                        let imm2 = constant(src2);
                        Some(if linked!($lm, dst, dst2, src2) {
                            Code::$loadedc { d, s, off, d2, s2, imm2 }
                        } else {
                            Code::$loaded { d, s, off, d2, s2, imm2 }
                        })
                    }
                )*
                _ => None,
            }
        }

        fn alu(op: AluOp, width: Width, dst: Reg, src: Operand, held: Option<Reg>) -> Code {
            let d = R::from(dst);
            let first = held == Some(dst) && op != AluOp::Mov;
            let second = !first && held.is_some() && matches!(src, Operand::Reg(s) if held == Some(s));
            match (op, width, src) {
                $(
                    (AluOp::$alu, Width::W64, Operand::Reg(s)) if first => Code::$a64a { d, s: s.into() },
                    (AluOp::$alu, Width::W64, Operand::Imm(imm)) if first => Code::$a64ia { d, imm },
                    (AluOp::$alu, Width::W32, Operand::Reg(s)) if first => Code::$a32a { d, s: s.into() },
                    (AluOp::$alu, Width::W32, Operand::Imm(imm)) if first => Code::$a32ia { d, imm },
                    (AluOp::$alu, Width::W64, Operand::Reg(_)) if second => Code::$a64s { d },
                    (AluOp::$alu, Width::W32, Operand::Reg(_)) if second => Code::$a32s { d },
                    (AluOp::$alu, Width::W64, Operand::Reg(s)) => Code::$a64 { d, s: s.into() },
                    (AluOp::$alu, Width::W64, Operand::Imm(imm)) => Code::$a64i { d, imm },
                    (AluOp::$alu, Width::W32, Operand::Reg(s)) => Code::$a32 { d, s: s.into() },
                    (AluOp::$alu, Width::W32, Operand::Imm(imm)) => Code::$a32i { d, imm },
                )*
            }
        }

        fn jump_if(op: JumpOp, width: Width, dst: Reg, src: Operand, to: u32) -> Code {
            let d = R::from(dst);
            match (op, width, src) {
                $(
                    (JumpOp::$jump, Width::W64, Operand::Reg(s)) => Code::$j64 { d, s: s.into(), to },
                    (JumpOp::$jump, Width::W64, Operand::Imm(imm)) => Code::$j64i { d, imm, to },
                    (JumpOp::$jump, Width::W32, Operand::Reg(s)) => Code::$j32 { d, s: s.into(), to },
                    (JumpOp::$jump, Width::W32, Operand::Imm(imm)) => Code::$j32i { d, imm, to },
                )*
            }
        }
    };
}
/// Whether an operand is of the kind that a row asks for.
macro_rules! kind {
    (reg, $src:expr) => {
        matches!($src, Operand::Reg(_))
    };
    (imm, $src:expr) => {
        matches!($src, Operand::Imm(_))
    };
}
/// Whether the second of two operations uses the first's result as a row says: as its first operand (`same`
/// register) and not its second, as its second operand only (`into` another register), or in any way (`apart`).
macro_rules! linked {
    (same, $dst:expr, $dst2:expr, $src2:expr) => {
        $dst == $dst2 && $src2 != Operand::Reg($dst)
    };
    (into, $dst:expr, $dst2:expr, $src2:expr) => {
        $dst != $dst2 && $src2 == Operand::Reg($dst)
    };
    (apart, $dst:expr, $dst2:expr, $src2:expr) => {
        true
    };
}
operations!(define);

/// The register that the first operand of a fused operation comes from: what a move copies, or the destination.
fn first_operand(op: AluOp, dst: Reg, src: Operand) -> Option<Reg> {
    match (op, src) {
        (AluOp::Mov, Operand::Reg(s)) => Some(s),
        (AluOp::Mov, Operand::Imm(_)) => None,
        _ => Some(dst),
    }
}

/// The register of an operand; any for a constant, which nobody reads.
fn register(src: Operand) -> R {
    match src {
        Operand::Reg(reg) => reg.into(),
        Operand::Imm(_) => R::N0,
    }
}

/// The constant of an operand; 0 for a register.
fn constant(src: Operand) -> i32 {
    match src {
        Operand::Reg(_) => 0,
        Operand::Imm(imm) => imm,
    }
}

/// The constant, if it is short.
fn short(src: Operand) -> Option<i16> {
    i16::try_from(constant(src)).ok()
}

/// A register number that indexes sixteen registers without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum R { N0, N1, N2, N3, N4, N5, N6, N7, N8, N9, N10, N11, N12, N13, N14, N15 }

impl From<Reg> for R {
    fn from(reg: Reg) -> Self {
        const ALL: [R; 16] = [
            R::N0,
            R::N1,
            R::N2,
            R::N3,
            R::N4,
            R::N5,
            R::N6,
            R::N7,
            R::N8,
            R::N9,
            R::N10,
            R::N11,
            R::N12,
            R::N13,
            R::N14,
            R::N15,
        ];
        ALL[reg.index() & 15]
    }
}

/// Why an operation traps whenever it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not an instruction; the error is kept beside the code.
    Undecodable,
    /// The second slot of an `LDDW`.
    SecondSlot,
    /// A store to `r10`.
    FramePointer,
    UnknownHelper(u32),
    Kfunc(i32),
    CallIndirect,
    JumpIndirect,
    AddrSpaceCast,
    /// An `LDDW` of a map that is not bound, or a value address of a kind that has none.
    UnboundMap(i32),
    /// An `LDDW` of a kernel variable.
    Variable(i32),
}

/// What stands for the function that has no place.
const TREE_ADD: u64 = 0xffff;

/// [`Code::Throw`] of a program that names no function to be called then.
pub(crate) const NO_CALLBACK: u32 = u32::MAX;

/// The address of a function of the kernel: none of memory, and not NULL.
const KFUNC_ADDRESS: u64 = 0xffff_8800_0000_0000;

/// What preparation asks its caller.
pub(crate) struct Binding<'a> {
    /// The register content for the map of an index, if it is bound.
    pub(crate) map: &'a dyn Fn(u32) -> Option<u64>,
    /// The address of byte `off` of the first value of the map of an index.
    pub(crate) map_value: &'a dyn Fn(u32, u32) -> Option<u64>,
    /// The place of a helper in the helper table.
    pub(crate) helper: &'a dyn Fn(u32) -> Option<HelperSlot>,
    /// The place of the kernel's function that the instruction in a slot calls or has the address of.
    pub(crate) kfunc: &'a dyn Fn(usize) -> Option<HelperSlot>,
    /// The number of the instruction in a slot among those that access the program's arena.
    pub(crate) arena: &'a dyn Fn(usize) -> Option<u32>,
    /// The program has an arena.
    pub(crate) has_arena: bool,
    /// The first slot of the function that is called when the program throws.
    pub(crate) thrown_to: Option<u32>,
    /// Whether all 64 bits of the number of iterations of the `bpf_loop` in a slot count.
    pub(crate) wide_loop: &'a dyn Fn(usize) -> bool,
}

/// Where a helper's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HelperSlot {
    Table(u16),
    Stack(StackHelper),
    Lookup,
    TailCall,
    Loop,
    ForEach,
    Drain,
    TreeAdd,
    Throw,
}

/// Prepared code and the errors of its undecodable slots, ascending by slot.
pub(crate) struct Prepared {
    pub(crate) code: Vec<Code>,
    pub(crate) errors: Vec<DecodeError>,
    /// The slots that an `LDDW` of a function names, ascending.
    pub(crate) functions: Vec<usize>,
    /// Some instruction names `r10` other than as the base of a store or load that stays in the frame.
    pub(crate) uses_stack: bool,
}

/// Whether frequent sequences become one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fusing {
    On,
    /// One operation does one instruction, for runs that are watched.
    Off,
}

/// Prepares a program. Never fails: what cannot run becomes an operation that traps when it is reached.
pub(crate) fn prepare(insns: &[Insn], binding: &Binding<'_>, fusing: Fusing) -> Prepared {
    let mut out = Prepared {
        code: Vec::with_capacity(insns.len() + 1),
        errors: Vec::new(),
        functions: Vec::new(),
        uses_stack: false,
    };
    let mut ops = Vec::with_capacity(insns.len());
    while out.code.len() < insns.len() {
        let pc = out.code.len();
        match decode(insns, pc) {
            Ok(op) => {
                out.uses_stack |= op.uses().contains(Reg::FP);
                if let Op::LoadImm64 { value: Imm64::Code(off), .. } = op {
                    out.functions.extend(usize::try_from(pc as i64 + 1 + i64::from(off)));
                }
                if let Some(index) = (binding.arena)(pc) {
                    // Never a part of another operation.
                    out.code.push(Code::Arena { index });
                    ops.push(None);
                    continue;
                }
                out.code.push(lower(&op, pc, insns.len(), None, binding));
                ops.push(Some(op));
                for _ in 1..op.slots() {
                    out.code.push(Code::Refuse(Refusal::SecondSlot));
                    ops.push(None);
                }
            }
            Err(error) => {
                out.errors.push(error);
                out.code.push(Code::Refuse(Refusal::Undecodable));
                ops.push(None);
            }
        }
    }
    if fusing == Fusing::On {
        let held = held(&ops);
        for (pc, &held) in held.iter().enumerate() {
            // Only this slot changes: whoever jumps to the next ones finds them as they were.
            let part = |n: usize| {
                let op = ops.get(pc + n).and_then(Option::as_ref);
                op.filter(|op| op.slots() == 1 && !op.defs().contains(Reg::FP))
            };
            let Some(first) = part(0) else { continue };
            let target = |off| jump_target(pc + 1, off, insns.len());
            let fused = part(1).and_then(|second| fuse(first, second, part(2), held, target));
            out.code[pc] = fused.unwrap_or_else(|| lower(first, pc, insns.len(), held, binding));
        }
    }
    out.code.push(Code::Outside);
    out.functions.sort_unstable();
    out
}

/// The slot that a jump in slot `pc` leads to; the one behind the last for any outside.
fn jump_target(pc: usize, off: i32, len: usize) -> u32 {
    let to = pc as i64 + 1 + i64::from(off);
    if (0..len as i64).contains(&to) { to as u32 } else { len as u32 }
}

/// The operation of one instruction, before which the accumulator holds `held`.
fn lower(op: &Op, pc: usize, len: usize, held: Option<Reg>, binding: &Binding<'_>) -> Code {
    if op.defs().contains(Reg::FP) {
        return Code::Refuse(Refusal::FramePointer);
    }
    let target = |off: i32| jump_target(pc, off, len);
    match *op {
        Op::Alu { width, op, dst, src } => alu(op, width, dst, src, held),
        Op::Neg { width, dst } => Code::Neg { width, d: dst.into() },
        Op::MovSx { width, from, dst, src } => Code::MovSx { width, from, d: dst.into(), s: src.into() },
        Op::Swap { kind, size, dst } => Code::Swap { kind, size, d: dst.into() },
        Op::AddrSpaceCast { dst, src, dst_as: 0, src_as: 1 } if binding.has_arena => {
            alu(AluOp::Mov, Width::W32, dst, Operand::Reg(src), held)
        }
        Op::AddrSpaceCast { dst, src, dst_as: 1, src_as: 0 } if binding.has_arena => {
            Code::CastUser { d: dst.into(), s: src.into() }
        }
        Op::AddrSpaceCast { .. } => Code::Refuse(Refusal::AddrSpaceCast),
        Op::LoadImm64 { dst, value } => load_imm64(dst, value, pc, binding),
        Op::Load { size, signed: true, dst, src, off } => {
            Code::LoadSx { size, d: dst.into(), s: src.into(), off }
        }
        Op::Load { size, signed: false, dst, src, off } if held == Some(src) => {
            let d = dst.into();
            match size {
                Size::B => Code::LoadBA { d, off },
                Size::H => Code::LoadHA { d, off },
                Size::W => Code::LoadWA { d, off },
                Size::DW => Code::LoadDwA { d, off },
            }
        }
        Op::Load { size, signed: false, dst, src, off } => {
            let (d, s) = (dst.into(), src.into());
            match size {
                Size::B => Code::LoadB { d, s, off },
                Size::H => Code::LoadH { d, s, off },
                Size::W => Code::LoadW { d, s, off },
                Size::DW => Code::LoadDw { d, s, off },
            }
        }
        Op::Store { size, dst, off, src: Operand::Imm(imm) } => {
            Code::StoreImm { size, d: dst.into(), off, imm }
        }
        Op::Store { size, dst, off, src: Operand::Reg(src) } => {
            let (d, s) = (dst.into(), src.into());
            match size {
                Size::B => Code::StoreB { d, s, off },
                Size::H => Code::StoreH { d, s, off },
                Size::W => Code::StoreW { d, s, off },
                Size::DW => Code::StoreDw { d, s, off },
            }
        }
        Op::Atomic { size, op, dst, src, off } => {
            let (d, s) = (dst.into(), src.into());
            let adds = op == AtomicOp::Add { fetch: false };
            match size {
                Size::W if adds => Code::AtomicAddW { d, s, off },
                Size::DW if adds => Code::AtomicAddDw { d, s, off },
                Size::B | Size::H | Size::W | Size::DW => Code::Atomic { size, op, d, s, off },
            }
        }
        Op::LoadAcquire { size, dst, src, off } => {
            Code::LoadAcquire { size, d: dst.into(), s: src.into(), off }
        }
        Op::StoreRelease { size, dst, src, off } => {
            Code::StoreRelease { size, d: dst.into(), s: src.into(), off }
        }
        Op::LoadPacket { size, mode: PacketMode::Abs, imm } => match size {
            Size::B => Code::PacketAbsB { imm },
            Size::H => Code::PacketAbsH { imm },
            Size::W => Code::PacketAbsW { imm },
            // There is no such instruction.
            Size::DW => Code::Refuse(Refusal::Undecodable),
        },
        Op::LoadPacket { size, mode: PacketMode::Ind(src), imm } => {
            Code::PacketInd { size, s: src.into(), imm }
        }
        Op::Jump { off, long: _ } => Code::Jump { to: target(off) },
        Op::JumpIf { width, op, dst, src, off } => jump_if(op, width, dst, src, target(off.into())),
        Op::MayGoto { off } => Code::MayGoto { to: target(off.into()) },
        Op::Call(CallTarget::Helper(id)) => match (binding.helper)(id) {
            Some(HelperSlot::Table(index)) => Code::Helper { index },
            Some(HelperSlot::Stack(helper)) => Code::Stack { helper },
            Some(HelperSlot::Lookup) => Code::Lookup,
            Some(HelperSlot::TailCall) => Code::TailCall,
            Some(HelperSlot::Loop) => {
                Code::CallBack { call: CallBack::Loop { wide: (binding.wide_loop)(pc) } }
            }
            Some(HelperSlot::ForEach) => Code::CallBack { call: CallBack::ForEach },
            Some(HelperSlot::Drain) => Code::CallBack { call: CallBack::Drain },
            // No helper does.
            Some(HelperSlot::TreeAdd | HelperSlot::Throw) | None => Code::Refuse(Refusal::UnknownHelper(id)),
        },
        Op::Call(CallTarget::Subprog(off)) => Code::Subprog { to: target(off) },
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx: _ }) => match (binding.kfunc)(pc) {
            Some(HelperSlot::Table(index)) => Code::Helper { index },
            Some(HelperSlot::TreeAdd) => Code::CallBack { call: CallBack::TreeAdd },
            Some(HelperSlot::Throw) => Code::Throw { to: binding.thrown_to.unwrap_or(NO_CALLBACK) },
            _ => Code::Refuse(Refusal::Kfunc(btf_id)),
        },
        Op::CallIndirect { .. } => Code::Refuse(Refusal::CallIndirect),
        Op::JumpIndirect { .. } => Code::Refuse(Refusal::JumpIndirect),
        Op::Exit => Code::Exit,
    }
}

fn load_imm64(dst: Reg, value: Imm64, pc: usize, binding: &Binding<'_>) -> Code {
    let value = match value {
        Imm64::Const(value) => Ok(value),
        Imm64::MapIdx(idx) => {
            u32::try_from(idx).ok().and_then(|i| (binding.map)(i)).ok_or(Refusal::UnboundMap(idx))
        }
        Imm64::MapValueIdx { idx, off_bytes } => u32::try_from(idx)
            .ok()
            .and_then(|i| (binding.map_value)(i, off_bytes))
            .ok_or(Refusal::UnboundMap(idx)),
        Imm64::MapFd(fd) | Imm64::MapValueFd { fd, .. } => Err(Refusal::UnboundMap(fd)),
        Imm64::Variable { btf_id, .. } => match (binding.kfunc)(pc) {
            Some(HelperSlot::Table(index)) => Ok(KFUNC_ADDRESS | u64::from(index)),
            Some(HelperSlot::TreeAdd) => Ok(KFUNC_ADDRESS | TREE_ADD),
            Some(HelperSlot::Throw) => Ok(KFUNC_ADDRESS),
            _ => Err(Refusal::Variable(btf_id)),
        },
        Imm64::Code(off) => {
            Ok(callback::function((pc as u64).wrapping_add(1).wrapping_add_signed(i64::from(off))))
        }
    };
    match value {
        Ok(value) => Code::Const { d: dst.into(), value },
        Err(refusal) => Code::Refuse(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_two_words() {
        assert_eq!(size_of::<Code>(), 16);
    }
}

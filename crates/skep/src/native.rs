//! The native code of programs, as text.

use crate::Program;

/// A function in native code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeFunction {
    /// Its name.
    pub name: String,
    /// Its instructions.
    pub insns: Vec<NativeInsn>,
}

/// An instruction of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeInsn {
    /// Bytes from the start of the program's code.
    pub offset: u32,
    /// Its own bytes.
    pub bytes: Vec<u8>,
    /// Its text, in the syntax of the GNU assembler.
    pub text: String,
    /// The slot of the program that it stands for.
    pub slot: Option<u32>,
}

impl Program {
    /// Waits until native code of the program is there, or it is known that there will be none.
    ///
    /// On a backend whose native code is made beside the first runs
    /// ([`UserOptions::beside`](crate::user::UserOptions::beside)) whoever measures, or wants to know which engine runs the program
    /// ([`Self::info`]), waits first. On others it returns at once.
    pub fn wait_native(&self) {
        if let Some(program) = self.as_user() {
            program.wait_native();
        }
    }

    /// Its native code; `None` when it is interpreted, or the kernel has it.
    #[cfg(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn native_code(&self) -> Option<Vec<NativeFunction>> {
        let compiled = skep_jit::Compiled::of(self.as_user()?.program().native()?)?;
        let functions = compiled.functions().iter().enumerate().map(|(i, function)| {
            let insns = compiled.disassemble(i).into_iter().map(|insn| {
                let skep_jit::NativeInsn { offset, bytes, text, slot } = insn;
                NativeInsn { offset, bytes, text, slot }
            });
            NativeFunction { name: function.name.clone(), insns: insns.collect() }
        });
        Some(functions.collect())
    }

    /// Its native code: skep was built without, or has none for this machine.
    #[cfg(not(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    pub fn native_code(&self) -> Option<Vec<NativeFunction>> {
        None
    }
}

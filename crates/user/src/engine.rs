//! What runs programs: the interpreter, or native code.

use skep_spec::{Errno, Error, NativeInfo};
use skep_vm::Program;

/// What runs programs that a verifier has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The interpreter.
    Interpreter,
    /// Native code: a program that has none is not loaded.
    Jit,
}

/// Gives a program native code, if `wish` does not want the interpreter: says what it is, or why there is none.
///
/// # Errors
/// `ENOTSUPP` when native code is wanted and there is none.
pub(crate) fn choose(
    program: &mut Program,
    wish: Option<Engine>,
) -> Result<Result<NativeInfo, String>, Error> {
    let made = match wish {
        Some(Engine::Interpreter) => Err("the interpreter was asked for".to_owned()),
        None | Some(Engine::Jit) => compile(program),
    };
    program.forget_proof();
    match made {
        Err(why) if wish == Some(Engine::Jit) => {
            let text = format!("program {}: {why}", program.name());
            Err(Error::new(Errno::ENOTSUPP, text))
        }
        made => Ok(made),
    }
}

#[cfg(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn compile(program: &Program) -> Result<NativeInfo, String> {
    let (native, _) =
        skep_jit::compile(program, &skep_jit::Options::default()).map_err(|why| why.to_string())?;
    let bytes = u32::try_from(native.bytes()).unwrap_or(u32::MAX);
    let compile_time = Some(std::time::Duration::from_nanos(native.compile_ns()));
    match program.set_native(native) {
        Ok(()) => Ok(NativeInfo { bytes, compile_time }),
        Err(_) => Err("the program has native code already".to_owned()),
    }
}

#[cfg(not(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn compile(_: &Program) -> Result<NativeInfo, String> {
    Err(if cfg!(feature = "jit") {
        format!("there is no code generator for {}", std::env::consts::ARCH)
    } else {
        "skep was built without native code".to_owned()
    })
}

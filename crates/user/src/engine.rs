//! What runs programs: the interpreter, or native code.
//!
//! Native code is made when a program is loaded; or, where that is wanted, by a thread beside the program's first runs, which the
//! interpreter does meanwhile: so the first result does not wait for the compiler. Each run is in one engine from its
//! beginning to its end (but for programs that it tail-calls), and both give the same results.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use skep_spec::{Errno, Error, NativeInfo, ProgramInfo};
use skep_vm::{Program, Proof};

/// What runs programs that a verifier has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The interpreter.
    Interpreter,
    /// Native code, from the first run on: a program that has none is not loaded.
    Jit,
}

/// Whether a program has native code, or why it has none.
type Made = Result<NativeInfo, String>;

/// The native code of a program on its way.
#[derive(Debug, Default)]
pub(crate) struct Making {
    /// `None` until it is decided.
    made: Mutex<Option<Made>>,
    decided: Condvar,
}

impl Making {
    fn lock(&self) -> MutexGuard<'_, Option<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, made: Made) {
        self.lock().get_or_insert(made);
        self.decided.notify_all();
    }

    /// Waits until it is decided.
    pub(crate) fn wait(&self) {
        let made = self.lock();
        drop(self.decided.wait_while(made, |made| made.is_none()));
    }

    /// Puts into a program's description what is decided by now.
    pub(crate) fn describe(&self, info: &mut ProgramInfo) {
        match &*self.lock() {
            Some(Ok(native)) => info.native = Some(*native),
            Some(Err(why)) => info.interpreted = Some(why.clone()),
            None => info.interpreted = Some("native code is being made".to_owned()),
        }
    }
}

/// Most programs that are compiled beside runs at a time: more wait for their code when they are loaded.
const MOST: usize = 4;
/// How many are.
static BESIDE: AtomicUsize = AtomicUsize::new(0);

/// A compiler beside runs. Decides when it goes: whoever waits does not wait for one that has panicked.
struct Beside(Arc<Making>);

impl Beside {
    fn new(making: &Arc<Making>) -> Option<Self> {
        let more = |n| (n < MOST).then_some(n + 1);
        BESIDE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(making)))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        BESIDE.fetch_sub(1, Ordering::Relaxed);
        self.0.decide(Err("the compiler failed, or had no thread".to_owned()));
    }
}

/// Native code that is wanted, and the proof that it is made by.
pub(crate) struct Order {
    proof: Option<Proof>,
    making: Arc<Making>,
}

impl Order {
    /// For a program that is about to be loaded: makes its native code now, unless it is to be made `beside` its runs.
    ///
    /// # Errors
    /// `ENOTSUPP` when native code is wanted and there is none.
    pub(crate) fn take(program: &mut Program, wish: Option<Engine>, beside: bool) -> Result<Self, Error> {
        let making = Arc::new(Making::default());
        let proof = program.take_proof();
        let made = match (wish, proof) {
            (None, Some(proof)) if IS_HERE && beside => return Ok(Self { proof: Some(proof), making }),
            (None | Some(Engine::Jit), Some(proof)) => compile(program, &proof),
            (None | Some(Engine::Jit), None) => Err("no verifier has accepted it".to_owned()),
            (Some(Engine::Interpreter), _) => Err("the interpreter was asked for".to_owned()),
        };
        if let (Err(why), Some(Engine::Jit)) = (&made, wish) {
            return Err(Error::new(Errno::ENOTSUPP, format!("program {}: {why}", program.name())));
        }
        making.decide(made);
        Ok(Self { proof: None, making })
    }

    /// Has what is not yet made made beside the program's runs.
    pub(crate) fn start(self, program: &Arc<Program>) -> Arc<Making> {
        let making = self.making;
        let Some(proof) = self.proof else { return making };
        let Some(beside) = Beside::new(&making) else {
            making.decide(compile(program, &proof));
            return making;
        };
        let held = Arc::clone(program);
        let work = move || {
            let running = beside;
            let made = compile(&held, &proof);
            // Whoever waits may count on the program's memory.
            drop((held, proof));
            running.0.decide(made);
        };
        // Without a thread `work` goes, and says so.
        drop(std::thread::Builder::new().name("skep-jit".to_owned()).spawn(work));
        making
    }
}

/// Whether there is a compiler.
const IS_HERE: bool = cfg!(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64")));

#[cfg(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn compile(program: &Program, proof: &Proof) -> Made {
    let options = skep_jit::Options::default();
    let (native, _) = skep_jit::compile_by(program, proof, &options).map_err(|why| why.to_string())?;
    let bytes = u32::try_from(native.bytes()).unwrap_or(u32::MAX);
    let compile_time = Some(std::time::Duration::from_nanos(native.compile_ns()));
    match program.set_native(native) {
        Ok(()) => Ok(NativeInfo { bytes, compile_time }),
        Err(_) => Err("the program has native code already".to_owned()),
    }
}

#[cfg(not(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn compile(_: &Program, _: &Proof) -> Made {
    Err(if cfg!(feature = "jit") {
        format!("there is no code generator for {}", std::env::consts::ARCH)
    } else {
        "skep was built without native code".to_owned()
    })
}

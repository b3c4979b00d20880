//! A virtual machine that an embedder extends: helpers, program types and tracepoints of its own.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use skep_abi::{
    Arg, ArgKind, Capability, Context, HelperFlags, HelperGroup, HelperProto, PacketAccess, ProgramType,
    ProgramTypeRow, Ret, ReturnRange, Sleep, helper_ids as ids,
};
use skep_spec::{Environment, Errno};
use skep_user::{Engine, HelperBody, Published, UserOptions, UserProgram};
use skep_vm::{EMBEDDER_HELPERS, HelperCall, TrapKind};

use crate::{Backend, Error, ErrorKind, Object, Program};

/// Helpers that an embedder may add.
pub const MAX_HELPERS: usize = 64;
/// Largest context of a tracepoint in bytes.
const MAX_ARGS: usize = 512;
/// First number of an embedder's program types; Linux counts from 1 and is far from it.
const FIRST_TYPE: u32 = 0x1_0000;

/// Ids of the embedder's helpers: those without a contract in the environment do not exist.
static IDS: [u32; MAX_HELPERS] = {
    let mut ids = [0; MAX_HELPERS];
    let mut i = 0;
    while i < MAX_HELPERS {
        ids[i] = EMBEDDER_HELPERS + i as u32;
        i += 1;
    }
    ids
};

static GROUPS: [HelperGroup; 4] =
    [ids::BASE, ids::BASE_BPF, ids::BASE_PERFMON, HelperGroup { capability: Capability::None, ids: &IDS }];

/// The virtual machine in this process with an embedder's own helpers, program types and tracepoints.
///
/// ```
/// use skep::abi::{ArgKind, MemAccess, ReturnRange};
/// use skep::{Limits, Vm};
///
/// skep::context! {
///     /// What a rule sees.
///     pub struct Request "request" { status: u32, latency_us: u64 }
/// }
///
/// let vm = Vm::builder()
///     .helper("is_slow", &[ArgKind::Anything], |call| Ok((call.arg(0) > 1000).into()))
///     .tracepoint::<Request>("request")
///     .build()?;
/// let object = vm.parse("rule.s", b".section request\nrule: r1 = *(u64 *)(r1 + 8)\ncall is_slow\nexit\n")?;
/// let loaded = object.load(vm.backend())?;
/// let request = vm.tracepoint::<Request>("request")?;
/// let link = request.attach(loaded.program("rule").expect("the text has it"))?;
/// assert_eq!(request.fire(&Request { status: 200, latency_us: 5000 }).runs, 1);
///
/// // Misuse is refused before anything runs.
/// let object = vm.parse("bad.s", b".section request\nbad: r1 = *(u64 *)(r1 + 16)\ncall is_slow\nexit\n")?;
/// assert!(object.load(vm.backend()).unwrap_err().is_rejected());
/// # drop(link);
/// # Ok::<(), skep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vm {
    backend: Backend,
}

impl Vm {
    /// Begins one.
    pub fn builder() -> VmBuilder {
        VmBuilder::default()
    }

    /// What runs its programs.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// As [`Object::parse`]; sections may have the names of the embedder's program types, alone or followed by `/` and
    /// more (`SEC("rule/admit")`), and assembly text may use the names of its helpers. C calls helpers by number, from
    /// [`EMBEDDER_HELPERS`] on in the order of the builder.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn parse(&self, name: &str, bytes: &[u8]) -> Result<Object, Error> {
        Object::parse_in(name, bytes, &self.backend.environment())
    }

    /// A tracepoint that the builder was told of.
    ///
    /// # Errors
    /// `NotFound` for any other name, `Usage` for a record that is not the one that programs were verified for.
    pub fn tracepoint<T: Record>(&self, name: &str) -> Result<Tracepoint<T>, Error> {
        let env = self.backend.environment();
        let own = env.section(name).map(|s| s.prog_type).filter(|t| t.0 >= FIRST_TYPE);
        let row = own.filter(|_| !name.contains('/')).and_then(|t| env.program_type(t));
        let &ProgramTypeRow { id: prog_type, ctx, .. } = row.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("no tracepoint `{name}`: tell `Vm::builder` of it"))
        })?;
        if ctx != T::CONTEXT {
            let words = format!(
                "tracepoint `{name}` was built with the record `{}`, this is `{}` with other fields",
                ctx.name,
                T::CONTEXT.name
            );
            return Err(Error::new(ErrorKind::Usage, words));
        }
        Ok(Tracepoint { prog_type, name: name.to_owned(), attached: Arc::default(), args: PhantomData })
    }
}

/// Gathers what a [`Vm`] has beside Linux's helpers and program types.
#[derive(Default)]
pub struct VmBuilder {
    environment: Environment,
    bodies: Vec<HelperBody>,
    types: u32,
    cpus: Option<u32>,
    engine: Option<Engine>,
    problem: Option<String>,
}

impl fmt::Debug for VmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmBuilder").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl VmBuilder {
    /// Adds a helper for all of the embedder's program types. The verifier holds programs to `args`; the
    /// result is a number. An argument may be a map with values or a ring buffer ([`ArgKind::Map`]), which the body
    /// reaches through its call ([`HelperCall::map_lookup`], [`HelperCall::ringbuf_output`]). A body that keeps a [`Map`](crate::Map) or [`Program`] of this machine keeps
    /// the machine alive. A body that panics ends the run with a trap ([`TrapKind::HelperPanicked`]).
    #[must_use]
    pub fn helper(
        mut self,
        name: &'static str,
        args: &[ArgKind],
        body: impl Fn(&mut HelperCall<'_, '_, '_, '_>) -> Result<u64, TrapKind> + Send + Sync + 'static,
    ) -> Self {
        if self.environment.helper_by_name(name).is_some() {
            self.problem.get_or_insert_with(|| format!("helper `{name}`: there is one of this name"));
        }
        if args.len() > 5 || self.bodies.len() == MAX_HELPERS {
            self.problem.get_or_insert_with(|| {
                format!("helper `{name}`: at most 5 arguments and {MAX_HELPERS} helpers")
            });
            return self;
        }
        let id = EMBEDDER_HELPERS + self.bodies.len() as u32;
        self.environment.add_helper(HelperProto {
            id,
            name,
            args: std::array::from_fn(|i| args.get(i).map(|&kind| Arg { kind, nullable: false })),
            ret: Ret::Integer,
            flags: HelperFlags(HelperFlags::NONE),
            since: (0, 0),
            doc: "A helper of the embedder.",
        });
        self.bodies.push(Box::new(body));
        self
    }

    /// Adds a program type: its context, what it may return, and the general and the embedder's helpers. Its name
    /// is a section in assembly text.
    #[must_use]
    pub fn program_type(mut self, name: &'static str, ctx: Context, returns: ReturnRange) -> Self {
        if self.environment.section(name).is_some() {
            self.problem
                .get_or_insert_with(|| format!("program type `{name}`: there is a section of this name"));
        }
        let id = ProgramType(FIRST_TYPE + self.types);
        self.environment.add_program_type(ProgramTypeRow {
            id,
            ctx,
            ctx_unprivileged: None,
            packet: PacketAccess::None,
            legacy_loads: false,
            returns,
            attach_rules: &[],
            attach_types: &[],
            needs: Capability::None,
            private_stack: false,
            sleep: Sleep::Never,
            helpers: &GROUPS,
            own_helpers: &[],
        });
        self.environment.add_section(name, id);
        self.types += 1;
        self
    }

    /// Adds a tracepoint: a program type whose context is a [`Record`].
    #[must_use]
    pub fn tracepoint<T: Record>(mut self, name: &'static str) -> Self {
        if T::CONTEXT.size as usize > MAX_ARGS {
            self.problem.get_or_insert_with(|| format!("tracepoint `{name}`: more than {MAX_ARGS} bytes"));
        }
        self.program_type(name, T::CONTEXT, ReturnRange::Any)
    }

    /// Sets the number of virtual CPUs: as many runs at a time.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = Some(cpus);
        self
    }

    /// Sets what runs programs; unless set, native code where there can be some.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Makes the machine.
    ///
    /// # Errors
    /// `Usage` for too many helpers or arguments, a record that is too long, and names that are taken.
    pub fn build(self) -> Result<Vm, Error> {
        if let Some(problem) = self.problem {
            return Err(Error::new(ErrorKind::Usage, problem));
        }
        let options = UserOptions {
            cpus: self.cpus,
            environment: self.environment,
            helpers: self.bodies,
            engine: self.engine,
            ..UserOptions::default()
        };
        Ok(Vm { backend: Backend::user_with(options) })
    }
}

/// Bounds of one run.
///
/// None unless they are set: the verifier has seen that a program ends, but not when (`bpf_loop` in `bpf_loop` can take hours).
/// `time` also ends runs of native code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Instructions, about. A run that counts them is interpreted. Without a bound, a program that no verifier has seen
    /// gets about a second of them.
    pub fuel: Option<u64>,
    /// Time.
    pub time: Option<Duration>,
}

impl Program {
    pub(crate) fn as_user(&self) -> Option<&UserProgram> {
        self.inner.as_any().downcast_ref()
    }

    /// Runs on a context of the caller's, within limits; gives `r0`. The context may have been changed afterwards.
    ///
    /// # Errors
    /// `ETIMEDOUT` at a limit, `EFAULT` for another trap, `Unsupported` on a backend that is not the user backend.
    pub fn run(&self, ctx: &mut [u8], limits: Limits) -> Result<u64, Error> {
        let program = self.as_user().ok_or_else(|| {
            let words = format!("program `{}`: only the user backend runs on a given context", self.name());
            Error::new(ErrorKind::Unsupported, words)
        })?;
        program.run(ctx, limits.fuel, limits.time).map_err(|trap| {
            let errno = if trap.kind.is_limit() { Errno::ETIMEDOUT } else { Errno::EFAULT };
            Error::new(ErrorKind::System(errno), format!("program `{}`: {trap}", self.name()))
        })
    }
}

/// A Rust structure that programs see as their context; [`context!`](crate::context) makes one.
pub trait Record {
    /// Its fields.
    const CONTEXT: Context;

    /// Writes the fields at their offsets; `image` has at least the context's size.
    fn write(&self, image: &mut [u8]);
}

/// Declares a structure of numbers and its fields as a read-only context of the given name.
///
/// Fields lie as in C. `context! { struct A "a" { x: u32, y: u64 } }` gives `x` offset 0 and `y` offset 8.
#[macro_export]
macro_rules! context {
    ($(#[$meta:meta])* $vis:vis struct $name:ident $text:literal { $($field:ident: $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        $vis struct $name {
            $(#[allow(missing_docs, reason = "the embedder's crate may ask for docs of every field")] pub $field: $ty,)+
        }

        impl $crate::Record for $name {
            const CONTEXT: $crate::abi::Context = $crate::abi::Context {
                name: $text,
                size: ::core::mem::size_of::<$name>() as u32,
                shape: $crate::abi::CtxShape::Fields(&[$($crate::abi::CtxField {
                    name: ::core::stringify!($field),
                    off: ::core::mem::offset_of!($name, $field) as u16,
                    size: ::core::mem::size_of::<$ty>() as u16,
                    access: $crate::abi::Access::Narrow,
                    value: $crate::abi::CtxValue::Scalar,
                    native: $crate::abi::Native::Same,
                }),+]),
            };

            fn write(&self, image: &mut [u8]) {
                $(
                    let bytes = self.$field.to_ne_bytes();
                    let off = ::core::mem::offset_of!($name, $field);
                    image[off..off + bytes.len()].copy_from_slice(&bytes);
                )+
            }
        }
    };
}

/// What is attached to a tracepoint: read at each fire, without a lock.
type Attached = Published<Vec<Arc<(Program, Limits)>>>;

/// A place in the embedder's code where programs run, with typed arguments. Clones are the same place.
pub struct Tracepoint<T> {
    prog_type: ProgramType,
    name: String,
    attached: Arc<Attached>,
    args: PhantomData<fn(&T)>,
}

impl<T> Clone for Tracepoint<T> {
    fn clone(&self) -> Self {
        let attached = Arc::clone(&self.attached);
        Self { prog_type: self.prog_type, name: self.name.clone(), attached, args: PhantomData }
    }
}

impl<T> fmt::Debug for Tracepoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracepoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of the programs at a tracepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Programs that ran to their end.
    pub runs: u32,
    /// Programs that a limit or a trap ended.
    pub faults: u32,
}

impl<T: Record> Tracepoint<T> {
    /// Attaches a program, with default limits.
    ///
    /// # Errors
    /// `EINVAL` for a program of another type.
    pub fn attach(&self, program: &Program) -> Result<TracepointLink, Error> {
        self.attach_with(program, Limits::default())
    }

    /// Attaches a program whose runs have limits.
    ///
    /// # Errors
    /// `EINVAL` for a program of another type.
    pub fn attach_with(&self, program: &Program, limits: Limits) -> Result<TracepointLink, Error> {
        if program.spec().prog_type != self.prog_type {
            let words = format!("program `{}` is not of tracepoint `{}`", program.name(), self.name);
            return Err(Error::new(ErrorKind::System(Errno::EINVAL), words));
        }
        let entry = Arc::new((program.clone(), limits));
        self.attached.update(|now| now.iter().chain([&entry]).cloned().collect());
        Ok(TracepointLink { entry, attached: Arc::downgrade(&self.attached) })
    }

    /// Runs all attached programs. Takes no lock and allocates nothing; a program, or a helper's body, may fire it
    /// again, attach and detach, which the fires that come after see.
    pub fn fire(&self, args: &T) -> Fired {
        self.attached.read(|programs| {
            let mut fired = Fired::default();
            for entry in programs {
                let (program, Limits { fuel, time }) = &**entry;
                let mut image = [0; MAX_ARGS];
                args.write(&mut image);
                let image = &mut image[..T::CONTEXT.size as usize];
                // The words of an error would be allocated.
                match program.as_user().map(|p| p.run(image, *fuel, *time).is_ok()) {
                    Some(true) => fired.runs += 1,
                    Some(false) | None => fired.faults += 1,
                }
            }
            fired
        })
    }
}

/// A program at a tracepoint; dropping it detaches.
#[derive(Debug)]
pub struct TracepointLink {
    entry: Arc<(Program, Limits)>,
    attached: Weak<Attached>,
}

impl Drop for TracepointLink {
    fn drop(&mut self) {
        if let Some(attached) = self.attached.upgrade() {
            attached.update(|now| now.iter().filter(|p| !Arc::ptr_eq(p, &self.entry)).cloned().collect());
        }
    }
}

//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use skep::spec::ProgramSpec;

use crate::failure::Failure;

/// Verify, run and watch eBPF programs, in this process or in the kernel.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit status: 0 done and all accepted; 1 a program was rejected or failed; 2 wrong usage, \
                  unreadable or damaged input."
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load a program, run it on packets and show its maps and events
    Run(RunArgs),
    /// Verify every program of every file, and explain what is refused
    Check(CheckArgs),
    /// Explain a code of `check`, as null_pointer; list them all without one
    Explain {
        /// The code
        code: Option<String>,
    },
    /// Assemble a text to an ELF object (-o FILE.o), or a program to raw bytecode
    Asm(AsmArgs),
    /// Link several objects to one (bpftool gen object)
    Link(LinkArgs),
    /// Print the instructions of an object, of assembly text or of raw bytecode
    Disasm(DisasmArgs),
    /// Programs
    #[command(subcommand)]
    Prog(ProgCommand),
    /// Maps
    #[command(subcommand)]
    Map(MapCommand),
    /// Types (BTF)
    #[command(subcommand)]
    Btf(BtfCommand),
    /// Code from an object: `gen skeleton FILE.o`
    #[command(subcommand)]
    Gen(GenCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum GenCommand {
    /// Rust code with the object's maps, programs and variables, typed, over crate `skep`
    Skeleton {
        /// eBPF object
        file: PathBuf,
        /// The records of a ring buffer or perf event array are of this type; without it those that the object says
        #[arg(long = "record", value_name = "MAP=TYPE")]
        records: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ProgCommand {
    /// Run a program once, or many times, on given bytes (BPF_PROG_TEST_RUN)
    Run(Box<ProgRunArgs>),
    /// Load programs, and print what is known of each: its engine, and what it takes
    Show(ProgShowArgs),
    /// Print a program's instructions, or its control-flow graph
    Dump(ProgDumpArgs),
}

#[derive(Debug, Subcommand)]
pub enum BtfCommand {
    /// Print the types of a file: `dump file FILE [format c|raw]`
    #[command(subcommand)]
    Dump(BtfDumpCommand),
    /// Write the part of a kernel's types that the CO-RE relocations of objects look at
    Min(BtfMinArgs),
}

#[derive(Debug, Subcommand)]
pub enum BtfDumpCommand {
    /// Of raw BTF, or of an ELF file that has some
    File(BtfDumpArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "skep btf dump file FILE [format c|raw] [root_id N]... [OPTIONS]",
    after_help = "`format c` is a header (vmlinux.h); `format raw`, the default, a type for each id, with -j as one \
                        JSON object. `root_id` takes only that type, and in C what it needs."
)]
pub struct BtfDumpArgs {
    /// The file
    pub file: PathBuf,
    /// bpftool's words
    #[arg(value_name = "WORD", hide = true)]
    pub words: Vec<String>,
    /// Types that a split file stands on (a module's kernel)
    #[arg(short = 'B', long, value_name = "FILE")]
    pub base_btf: Option<PathBuf>,
    /// bpftool's JSON
    #[arg(short, long)]
    pub json: bool,
    /// The same with line breaks
    #[arg(short, long)]
    pub pretty: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file is for `--btf` (libbpf's btf_custom_path) on machines that do not show their types: objects come \
                        out as against the whole. Ids of types are others, and typed externs (kfuncs) still need the \
                        kernel's own types."
)]
pub struct BtfMinArgs {
    /// eBPF objects
    #[arg(required = true, value_name = "OBJ")]
    pub files: Vec<PathBuf>,
    /// Where to write it: raw BTF
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The whole types: raw BTF, or an ELF file that has some [default: the running kernel's]
    #[arg(long, value_name = "SRC")]
    pub btf: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Print the elements of an object's maps: as it defines them, or after a run over a capture
    Dump(MapDumpArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "SOURCE is a network interface (needs CAP_NET_RAW) or a capture file (.pcap, .pcapng, or \
                        any name with a slash). With `-- COMMAND` skep starts the command in a network \
                        namespace of its own and watches the `lo` in there, which needs no privilege.\n\n\
                        Arrays show no elements that are zero. XDP programs on an interface are observers: \
                        their verdicts are counted, not carried out, unless --send has packets sent that they \
                        send back or redirect; the host has all packets all the same."
)]
pub struct RunArgs {
    /// eBPF object or assembly text (.s)
    pub file: PathBuf,
    /// The program; may be left out if there is only one
    pub program: Option<String>,
    /// Where packets come from
    #[arg(long, value_name = "SOURCE")]
    pub on: String,
    /// End after this time (10s, 500ms, 2m); for captures in time of the capture
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Time between reports [default: 1s; captures: one report at the end]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub interval: Option<Duration>,
    /// End after this many reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Run in the kernel
    #[arg(long)]
    pub linux: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub maps: MapArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Write what the program let through to a pcap file: XDP packets that were passed, sent or redirected, as
    /// the program left them; packets that a socket filter keeps, cut to what it keeps
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Send what the program sends back (XDP_TX) or redirects, on the interfaces that it says
    #[arg(long, conflicts_with = "linux")]
    pub send: bool,
    /// Decode ring buffer records as this struct of the object's BTF
    #[arg(long, value_name = "STRUCT")]
    pub event_type: Option<String>,
    /// A command to run in a private network namespace
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --json one object a line: file, program, section, verdict (accepted, rejected, \
                        unsupported), error (null, or code, insn, line, message and the explanation), \
                        insns_processed, time_us (of the verifier alone), and what --stats, --log and --linux \
                        add; docs/cli.md has all keys. `skep explain CODE` explains a code."
)]
pub struct CheckArgs {
    /// eBPF objects or assembly texts
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The verifier's log in the kernel's format: 1 the path to a refusal, 2 all paths, 4 statistics, or a sum
    /// [default: 2]
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "2",
          value_parser = clap::value_parser!(u32).range(1..=7))]
    pub log: Option<u32>,
    /// What the verification cost, by source line
    #[arg(long)]
    pub stats: bool,
    /// By the rules for loaders without capabilities
    #[arg(long)]
    pub unprivileged: bool,
    /// Ask the running kernel as well, and show both
    #[arg(long)]
    pub linux: bool,
    /// The program that extensions (freplace) replace a function of; its object may have others if it is named
    #[arg(long, value_name = "FILE[:PROGRAM]", conflicts_with = "linux")]
    pub extends: Option<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub set: SetArgs,
}

impl CheckArgs {
    /// The program that is extended.
    pub fn extended(&self, target: &skep::Target) -> Result<Option<Arc<ProgramSpec>>, Failure> {
        let Some(given) = &self.extends else { return Ok(None) };
        let (file, name) = match given.rsplit_once(':') {
            Some((file, name)) if !name.contains('/') => (file, Some(name)),
            Some(_) | None => (given.as_str(), None),
        };
        let object = skep::Object::open_for(Path::new(file), target)?;
        let name = match (name, object.programs()) {
            (Some(name), _) => name,
            (None, [only]) => &only.name,
            (None, all) => {
                let names: Vec<_> = all.iter().map(|entry| entry.name.as_str()).collect();
                let words = format!(
                    "`{file}` has {} programs: name one, as {file}:NAME ({})",
                    all.len(),
                    names.join(", ")
                );
                return Err(Failure::usage(words));
            }
        };
        Ok(Some(object.program(name)?.clone()))
    }
}

/// What runs programs in this process.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct EngineArgs {
    /// What runs programs in this process; `jit` fails where there is no native code of a program
    /// [default: native code where there can be some, and until it is made the interpreter]
    #[arg(long, value_enum, conflicts_with = "linux")]
    pub engine: Option<EngineName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// The interpreter
    Interpreter,
    /// Native code
    Jit,
}

impl EngineArgs {
    /// As the backend takes it.
    pub fn choice(self) -> Option<skep::Engine> {
        self.engine.map(|engine| match engine {
            EngineName::Interpreter => skep::Engine::Interpreter,
            EngineName::Jit => skep::Engine::Jit,
        })
    }
}

/// What maps are to be, whatever the object says.
#[derive(Debug, clap::Args)]
pub struct MapArgs {
    /// Elements of a map, or bytes of a ring buffer, instead of what the object says
    #[arg(long, value_name = "MAP=N", value_parser = max_entries)]
    pub max_entries: Vec<(String, u32)>,
    /// Where maps are found and pinned that the object wants to be [default in the kernel: /sys/fs/bpf; otherwise nowhere]
    #[arg(long, value_name = "FOLDER")]
    pub pin_root: Option<PathBuf>,
    #[command(flatten)]
    pub set: SetArgs,
}

impl MapArgs {
    /// Opens an object, changes its maps and sets its variables.
    pub fn open(&self, file: &Path, target: &TargetArgs) -> Result<skep::Object, Failure> {
        let mut object = skep::Object::open_for(file, &target.target()?)?;
        for (map, n) in &self.max_entries {
            object.set_max_entries(map, *n)?;
        }
        if let Some(folder) = &self.pin_root {
            object.set_pin_root(folder);
        }
        self.set.apply(&mut object)?;
        Ok(object)
    }
}

/// `MAP=N`.
fn max_entries(text: &str) -> Result<(String, u32), String> {
    let Some((map, n)) = text.split_once('=').filter(|(map, _)| !map.is_empty()) else {
        return Err("write MAP=N".to_owned());
    };
    match n.parse() {
        Ok(n) => Ok((map.to_owned(), n)),
        Err(_) => Err(format!("`{n}` is no number from 0 to {}", u32::MAX)),
    }
}

/// The machine that objects are opened for.
#[derive(Debug, clap::Args)]
pub struct TargetArgs {
    /// Types of the target, for CO-RE: raw BTF, or an ELF file that has some; a module's, after its kernel's, in a
    /// second --btf [default: those of the running kernel]
    #[arg(long, value_name = "FILE")]
    pub btf: Vec<PathBuf>,
    /// Values of __kconfig variables: a .config or config.gz, or one option; the first counts
    /// [default: the running kernel's]
    #[arg(long, value_name = "FILE|CONFIG_NAME=VALUE")]
    pub kconfig: Vec<String>,
    /// Addresses of __ksym externs without a type, as in /proc/kallsyms or a System.map
    /// [default: the running kernel's]
    #[arg(long, value_name = "FILE")]
    pub symbols: Option<PathBuf>,
}

impl TargetArgs {
    /// The target. What is not given is the running kernel's, but not beside another kernel's types.
    pub fn target(&self) -> Result<skep::Target, skep::Error> {
        let target = if self.btf.is_empty() {
            skep::Target::running_kernel()
        } else {
            skep::Target::from_files(&self.btf)?
        };
        let target = match &self.symbols {
            Some(file) => target.with_symbols_file(file)?,
            None => target,
        };
        self.kconfig.iter().try_fold(target, |target, given| {
            match given.starts_with("CONFIG_") && given.contains('=') {
                true => target.with_config(given),
                false => target.with_config_file(given.as_ref()),
            }
        })
    }
}

/// Global variables before the object is loaded.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// Set a global variable, or a part of one, before loading: `limit=5`, `cfg.ports[1]=443`, `mode=DROP`,
    /// `name=text`, `table='{1, 2}'`
    #[arg(long, value_name = "VARIABLE=VALUE")]
    pub set: Vec<String>,
}

impl SetArgs {
    /// Sets what was given, in order.
    pub fn apply(&self, object: &mut skep::Object) -> Result<(), Failure> {
        for given in &self.set {
            let Some((path, value)) = given.split_once('=') else {
                return Err(Failure::usage(format!("--set {given}: write VARIABLE=VALUE")));
            };
            object
                .set_variable_text(path.trim(), value.trim())
                .map_err(|e| Failure::usage(format!("--set {given}: {e}")))?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// As the kernel's verifier log
    Kernel,
    /// As clang and llvm-objdump
    Clang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ByteOrder {
    /// bpfel
    Little,
    /// bpfeb
    Big,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AsmFormat {
    /// An ELF object of all programs and maps
    Elf,
    /// The instructions of one program
    Raw,
}

#[derive(Debug, clap::Args)]
pub struct AsmArgs {
    /// Assembly text; `-` for stdin
    pub file: PathBuf,
    /// The program; may be left out if there is only one
    pub program: Option<String>,
    /// Where it goes; `-` for stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// What is written [default: by the name of the output: an object for .o, else raw bytecode]
    #[arg(long, value_enum)]
    pub format: Option<AsmFormat>,
    /// Byte order of the bytecode
    #[arg(long, value_enum, default_value_t = ByteOrder::Little)]
    pub endian: ByteOrder,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Sections of the same name follow each other in the order of the files. A name that several files \
                        have is one: a strong definition counts before weak ones, and all must agree in their types, \
                        so files need BTF (clang -g). The licence must be the same."
)]
pub struct LinkArgs {
    /// eBPF objects
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Where the linked object goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct DisasmArgs {
    /// eBPF object, assembly text (.s) or raw bytecode
    pub file: PathBuf,
    /// Only this program
    pub program: Option<String>,
    /// How instructions are spelled
    #[arg(long, value_enum, default_value_t = Dialect::Kernel)]
    pub dialect: Dialect,
    /// Byte order of raw bytecode
    #[arg(long, value_enum, default_value_t = ByteOrder::Little)]
    pub endian: ByteOrder,
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "skep prog run [OPTIONS] FILE [PROG] [data_in FILE] [data_out FILE] [ctx_in FILE] \
                            [ctx_out FILE] [repeat N]",
    after_help = "A context file whose name ends in .json is an object of the context's fields, as \
                        {\"mark\": 7, \"cb\": [1, 2]}; fields left out are 0. Raw tracepoints have {\"args\": [...]}, \
                        other contexts of bytes the fields of the structure that the program's argument points to, \
                        by its BTF. Any other file is the bytes.\n\n\
                        With --trace each instruction that runs comes on a line, with the registers that it changed, \
                        below the source line that it belongs to."
)]
pub struct ProgRunArgs {
    /// eBPF object or assembly text (.s)
    pub file: PathBuf,
    /// The program, if there are several; and bpftool's words, which are the options without dashes
    #[arg(value_name = "PROG")]
    pub words: Vec<OsString>,
    #[command(flatten)]
    pub io: ProgRunIo,
    /// Print each instruction that runs, and the registers that it changed
    #[arg(long)]
    pub trace: bool,
    /// One JSON object; with --trace one more for each instruction before it
    #[arg(short, long)]
    pub json: bool,
    /// Run in the kernel
    #[arg(long)]
    pub linux: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub maps: MapArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --json a list of objects: bpftool's keys (id, type, name, gpl_compatible, bytes_xlated, jited, \
                        bytes_jited), and engine, interpreted_because, compile_us, verify_us and verified_insns."
)]
pub struct ProgShowArgs {
    /// eBPF object or assembly text (.s)
    pub file: PathBuf,
    /// Only this program
    pub program: Option<String>,
    /// bpftool's JSON
    #[arg(short, long)]
    pub json: bool,
    /// Load into the kernel
    #[arg(long)]
    pub linux: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub maps: MapArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What a run is given and where its results go.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProgRunIo {
    /// The packet; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub data_in: Option<PathBuf>,
    /// Where the packet goes afterwards; `-` for a hex dump on stdout
    #[arg(long, value_name = "FILE")]
    pub data_out: Option<PathBuf>,
    /// Most bytes that the packet may have afterwards
    #[arg(long, value_name = "N", requires = "data_out")]
    pub data_size_out: Option<usize>,
    /// The context; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub ctx_in: Option<PathBuf>,
    /// Where the context goes afterwards; `-` for a hex dump on stdout
    #[arg(long, value_name = "FILE")]
    pub ctx_out: Option<PathBuf>,
    /// Most bytes that the context may have afterwards
    #[arg(long, value_name = "N", requires = "ctx_out")]
    pub ctx_size_out: Option<usize>,
    /// How often to run; the time given is the mean [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    pub repeat: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "skep prog dump [OPTIONS] FILE [PROG] {xlated [visual] | jited} [[opcodes] [linum] | file FILE]",
    after_help = "`jited` is the native code that the program gets on this machine, with the program's instructions \
                        and source lines.\n\n\
                        `visual` prints the control-flow graph for Graphviz: a cluster for each function, a node for each \
                        basic block; edges that close a loop are red, calls dashed, unreachable code grey: \
                        skep prog dump x.bpf.o xlated visual | dot -Tsvg > x.svg"
)]
pub struct ProgDumpArgs {
    /// eBPF object or assembly text (.s)
    pub file: PathBuf,
    /// The program, if there are several; what to dump; and how
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
    /// JSON instead of text
    #[arg(short, long)]
    pub json: bool,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub set: SetArgs,
}

#[derive(Debug, clap::Args)]
pub struct MapDumpArgs {
    /// eBPF object or assembly text (.s); or the word `pinned`, and a path behind it
    pub file: PathBuf,
    /// Only this map; behind `pinned` the path where a map is pinned that others use
    pub map: Option<String>,
    /// Run over this capture first
    #[arg(long, value_name = "CAPTURE")]
    pub on: Option<PathBuf>,
    /// The program to run; may be left out if there is only one
    #[arg(long, value_name = "PROG", requires = "on")]
    pub program: Option<String>,
    /// bpftool's JSON
    #[arg(long)]
    pub json: bool,
    /// Create the maps and run in the kernel
    #[arg(long)]
    pub linux: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub maps: MapArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `10s`, `500ms`, `2m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no time: write 10s, 500ms or 2m"))?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1000.0,
        "us" => number / 1_000_000.0,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time: s, ms, us, m and h are")),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(d) if !d.is_zero() => Ok(d),
        Ok(_) => Err("the time must be longer than nothing".to_owned()),
        Err(e) => Err(format!("`{text}`: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "0", "-1s", "1y", "1e400", "99999999999999999999h", ".", "1..2s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

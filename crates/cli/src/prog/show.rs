//! `skep prog show FILE [PROG]`: what is known of programs once they are loaded, in bpftool's form.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use skep::Program;
use skep::spec::ProgramInfo;

use crate::args::ProgShowArgs;
use crate::failure::Failure;
use crate::run::{self, choose_backend};
use crate::{out, text};

/// Runs `skep prog show`.
pub fn show(args: &ProgShowArgs) -> Result<(), Failure> {
    let object = args.maps.open(&args.file, &args.target)?;
    let backend = choose_backend(args.linux, args.maps.pin_root.as_deref(), args.engine.choice())?;
    let names: Vec<String> = match &args.program {
        Some(name) => vec![text::choose(&object, Some(name))?.name.clone()],
        None => object.programs().iter().map(|entry| entry.name.clone()).collect(),
    };
    let mut all = Vec::new();
    let mut words = String::new();
    for name in names {
        let loaded = run::load(&object, &backend, &name)?;
        let program = loaded.program(&name).ok_or_else(|| Failure::failed("the program is gone"))?;
        program.wait_native();
        match args.json {
            true => all.push(object_of(program)),
            false => words.push_str(&lines(program)),
        }
    }
    match args.json {
        true => out::line(&Json::Array(all).to_string()),
        false => out::write(words.as_bytes()),
    }
}

/// Which engine runs a program.
fn engine(info: &ProgramInfo) -> &'static str {
    if info.native.is_some() { "jit" } else { "interpreter" }
}

/// Three lines at most, as bpftool writes them.
fn lines(program: &Program) -> String {
    let info = program.info();
    let kind = info.prog_type.name().unwrap_or("unknown");
    let gpl = if program.spec().gpl_compatible() { "  gpl" } else { "" };
    let mut text = format!("{}: {kind}  name {}{gpl}\n\txlated {}B  ", info.id, info.name, info.xlated_bytes);
    let time = |t: Duration| format!("{:.1}us", t.as_secs_f64() * 1e6);
    match info.native {
        Some(native) => write!(text, "jited {}B", native.bytes),
        None => write!(text, "not jited"),
    }
    .expect("a string takes everything");
    text.push_str(&format!("\n\tengine {}", engine(&info)));
    if let Some(took) = info.native.and_then(|native| native.compile_time) {
        text.push_str(&format!("  compiled in {}", time(took)));
    }
    if let Some(took) = info.verify_time {
        text.push_str(&format!("  verified in {}", time(took)));
    }
    if info.insns_processed > 0 {
        text.push_str(&format!("  {} insns processed", info.insns_processed));
    }
    if let Some(why) = &info.interpreted {
        text.push_str(&format!("\n\t({why})"));
    }
    text + "\n"
}

/// bpftool's keys, and those that it has no words for.
fn object_of(program: &Program) -> Json {
    let info = program.info();
    let micros = |t: Duration| json!((t.as_secs_f64() * 1e7).round() / 10.0);
    let mut all = Map::new();
    let mut put = |key: &str, value: Json| all.insert(key.to_owned(), value);
    put("id", json!(info.id));
    put("type", json!(info.prog_type.name().unwrap_or("unknown")));
    put("name", json!(info.name));
    put("gpl_compatible", json!(program.spec().gpl_compatible()));
    put("bytes_xlated", json!(info.xlated_bytes));
    put("jited", json!(info.native.is_some()));
    if let Some(native) = info.native {
        put("bytes_jited", json!(native.bytes));
    }
    put("engine", json!(engine(&info)));
    if let Some(why) = &info.interpreted {
        put("interpreted_because", json!(why));
    }
    if let Some(took) = info.native.and_then(|native| native.compile_time) {
        put("compile_us", micros(took));
    }
    if let Some(took) = info.verify_time {
        put("verify_us", micros(took));
    }
    put("verified_insns", json!(info.insns_processed));
    Json::Object(all)
}

//! Sets of functions for the kernel, as libbpf loads them.

mod common;

use common::{CPUS, compile, sources};
use libbpf_oracle::maps::{Ops, load};
use skep_abi::{MapType, ProgramType};
use skep_btf::Btf;
use skep_btf::relo::TargetBtf;
use skep_object::{Inputs, Object, Unlinked};

fn ours(object: &Object) -> Result<Ops, String> {
    let mut out = Ops { maps: Vec::new(), programs: Vec::new() };
    for m in &object.maps {
        match &m.def {
            Ok(d) if d.kind == MapType::STRUCT_OPS => {
                let size = if d.optional { 0 } else { d.value_size };
                out.maps.push((m.name.clone(), size, d.flags.0, !d.optional));
            }
            Ok(_) => {}
            Err(_) if !m.autocreate => out.maps.push((m.name.clone(), 0, 0, false)),
            Err(e) => return Err(e.to_string()),
        }
    }
    for p in &object.programs {
        match &p.spec {
            Ok(s) if p.autoload && s.prog_type == ProgramType::STRUCT_OPS && s.attach_btf_id == 0 => {
                return Err(format!("{} is referred to by nothing: a backend refuses it", p.name));
            }
            Ok(s) => {
                let attach = if p.autoload { s.attach_type.0 } else { 0 };
                out.programs.push((p.name.clone(), p.autoload, attach));
            }
            Err(_) if !p.autoload => out.programs.push((p.name.clone(), false, 0)),
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(out)
}

#[test]
fn sets_are_what_libbpf_makes_of_them() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let Ok(btf) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        return println!("skipped: the kernel does not show its types");
    };
    let target = TargetBtf::from(Btf::parse(&btf).expect("right"));
    if target.main().find_by_name(None, "bpf_struct_ops_tcp_congestion_ops").is_none() {
        return println!("skipped: the kernel takes no congestion control");
    }
    let inputs = Inputs { target: Some(&target), ..Inputs::default() };
    let (mut equal, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for source in sources("struct_ops") {
        for cpu in CPUS {
            let (name, path) = compile(&source, cpu);
            let bytes = std::fs::read(&path).expect("just written");
            let object = Unlinked::parse(&name, &bytes).and_then(|u| u.link(&inputs));
            let ours = object.map_err(|e| e.to_string()).and_then(|o| ours(&o));
            match (ours, load(&path)) {
                (Ok(ours), Ok(theirs)) if ours == theirs => equal += 1,
                (Err(e), Err(_)) => refused.push(format!("{name}: {e}")),
                (ours, theirs) => wrong.push(format!("{name} ({cpu}): ours {ours:#?}, libbpf's {theirs:#?}")),
            }
        }
    }
    refused.dedup();
    println!("{equal} objects equal, {} refused by both:\n{}", refused.len(), refused.join("\n"));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal == 12 && refused.len() > 12, "the corpus has both outcomes");
}

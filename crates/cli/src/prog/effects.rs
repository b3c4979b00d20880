//! Where a program wanted its packet and copies of it to go: recorded by the run, done by nobody.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use skep::spec::{RedirectTo, RunOutput};

/// Into the report of a run, where there is something.
pub(super) fn report(done: &RunOutput, report: &mut Map<String, Json>) {
    if let Some(redirect) = done.redirect {
        let mut entry = json!({ "ifindex": redirect.ifindex, "to": redirect.to.word() });
        if let RedirectTo::NextHop(hop) = redirect.to {
            entry["next_hop"] = json!(hop.to_string());
        }
        if let RedirectTo::Cpu(cpu) = redirect.to {
            entry["cpu"] = json!(cpu);
        }
        if let RedirectTo::Broadcast { map, exclude_ingress } = redirect.to {
            entry["map"] = json!(map);
            entry["exclude_ingress"] = json!(exclude_ingress);
        }
        report.insert("redirect".to_owned(), entry);
    }
    if !done.clones.is_empty() {
        let clones = done.clones.iter().map(|c| {
            let to = if c.ingress { RedirectTo::Ingress } else { RedirectTo::Egress };
            json!({ "ifindex": c.ifindex, "to": to.word(), "len": c.len })
        });
        report.insert("clones".to_owned(), clones.collect());
    }
}

/// The same as lines of text.
pub(super) fn lines(done: &RunOutput) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for clone in &done.clones {
        let _ = write!(text, "\nCopy to {clone}");
    }
    if let Some(redirect) = &done.redirect {
        let _ = write!(text, "\nRedirect to {redirect}");
    }
    text
}

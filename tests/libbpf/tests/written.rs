//! Assembly texts written as objects: libbpf opens and prepares each as we do, and loads what the kernel takes.

use std::path::{Path, PathBuf};

use libbpf_oracle::{How, View, available, inspect, load};
use skep_isa::Endian;

fn texts(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            texts(&path, out);
        } else if path.extension().is_some_and(|e| e == "s") {
            out.push(path);
        }
    }
}

#[test]
fn libbpf_reads_what_is_written() {
    if let Err(why) = available() {
        println!("skipped: {why}");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    texts(&root.join("tests/cases"), &mut all);
    texts(&root.join("examples"), &mut all);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("written");
    std::fs::create_dir_all(&dir).expect("a folder for objects");
    let (mut compared, mut loaded, mut differ) = (0, 0, Vec::new());
    let kernel = skep::Backend::linux().expect("bpf(2) is there");
    for text in all {
        let name = text.display();
        let Ok(object) = skep::Object::open(&text) else { continue };
        if object.programs().iter().any(|p| p.spec.is_err()) {
            continue;
        }
        let Ok(bytes) = object.to_elf(Endian::NATIVE) else { continue };
        let path = dir.join(text.file_stem().expect("a file")).with_extension("o");
        std::fs::write(&path, &bytes).expect("writable");
        let ours = skep_object::Object::parse(&path.display().to_string(), &bytes).expect("ours");
        match inspect(&path, How::default()) {
            Ok(theirs) => {
                let view = View::of(&ours);
                differ.extend(view.differences(&theirs).into_iter().map(|d| format!("{name}: {d}")));
                compared += 1;
            }
            // Maps that the kernel does not create, as the file tests want it to.
            Err(r) if r.opened && object.create_maps(&kernel).is_err() => {}
            Err(r) => differ.push(format!("{name}: opened {}: {:?}", r.opened, r.messages)),
        }
        if object.load(&kernel).is_ok() {
            if let Err(messages) = load(&path) {
                differ.push(format!("{name}: libbpf does not load it: {messages:?}"));
            }
            loaded += 1;
        }
    }
    println!("{compared} objects compared, {loaded} loaded");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(compared > 150 && loaded > 100, "{compared} {loaded}");
}

//! Maps that are found by name. The test starts itself again in a mount namespace with a BPF file system of its own.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use skep::spec::RunInput;
use skep::{Backend, Object};

const INSIDE: &str = "SKEP_TEST_PINS";
const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/maps/pinned.bpf.o");

fn object(root: &Path) -> Object {
    let mut object = Object::open(OBJECT).expect("a committed object");
    object.set_pin_root(root);
    object
}

fn count(loaded: &skep::Loaded) -> u32 {
    let input = RunInput { data: &[0; 64], ..RunInput::default() };
    loaded.program("count").expect("loaded").test_run(input).expect("runs").retval
}

#[test]
fn pinned_maps_outlive_their_objects() {
    if cfg!(target_endian = "big") {
        return;
    }
    if let Some(folder) = std::env::var_os(INSIDE) {
        return inside(&PathBuf::from(folder));
    }
    // The user backend has none, and an object has maps of its own.
    for _ in 0..2 {
        let loaded =
            object(Path::new("/nowhere")).load(&Backend::user()).expect("it is not asked for the folder");
        assert!(!loaded.map("counts").expect("the object has it").is_reused());
        assert_eq!(count(&loaded), 1);
    }
    if let Err(e) = Backend::linux() {
        return println!("skipped: {e}");
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bpffs");
    std::fs::create_dir_all(&folder).expect("writable");
    let output = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c"])
        .arg(r#"mount -t bpf bpf "$1" || { echo "skipped: no BPF file system"; exit 0; }; exec "$2" --exact pinned_maps_outlive_their_objects --nocapture"#)
        .arg("sh")
        .arg(&folder)
        .arg(std::env::current_exe().expect("this test's own program"))
        .env(INSIDE, &folder)
        .output();
    let output = match output {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare failed") => {
            return println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output) => output,
        Err(e) => return println!("skipped: no unshare: {e}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("pins agreed") || text.contains("skipped:"), "{text}");
}

fn inside(bpffs: &Path) {
    let linux = Backend::linux().expect("asked outside");
    let root = bpffs.join("mine");
    let loaded = object(&root).load(&linux).expect("the folder is made");
    let map = |loaded: &skep::Loaded, name: &str| loaded.map(name).expect("the object has it").clone();
    assert!(!map(&loaded, "counts").is_reused());
    assert_eq!(count(&loaded), 1);
    let id = map(&loaded, "counts").info().id;
    let held = map(&loaded, "outer").get::<u32, u32>(&0).expect("a map of maps");
    assert_eq!(held, Some(map(&loaded, "first").info().id));
    drop(loaded);
    // The next finds it, with what is in it; what is in the map of maps stays too.
    let loaded = object(&root).load(&linux).expect("again");
    assert!(map(&loaded, "counts").is_reused() && map(&loaded, "outer").is_reused());
    assert_eq!((map(&loaded, "counts").info().id, count(&loaded)), (id, 2));
    assert_eq!(map(&loaded, "outer").get::<u32, u32>(&0).expect("a map of maps"), held);
    // In another folder there is another.
    let other = object(&bpffs.join("other")).load(&linux).expect("another folder");
    assert_eq!(count(&other), 1);
    // Another map under the name.
    let mut larger = object(&root);
    larger.set_max_entries("counts", 5).expect("the object has it");
    let e = larger.load(&linux).expect_err("it differs");
    assert!(
        e.to_string().contains("another map is pinned at")
            && e.to_string().contains("max_entries 4 instead of 5"),
        "{e}"
    );
    // Something else under the name.
    std::fs::remove_file(root.join("counts")).expect("it is there");
    std::fs::create_dir(root.join("counts")).expect("a folder");
    assert!(object(&root).load(&linux).is_err());
    std::fs::remove_dir(root.join("counts")).expect("empty");
    // What cannot be loaded leaves no pins.
    let fresh = bpffs.join("fresh");
    let mut bad = object(&fresh);
    bad.set_max_entries("counts", 0).expect("the object has it");
    assert!(bad.load(&linux).is_err(), "the kernel takes no map without elements");
    assert!(fresh.exists(), "`outer` comes first, and was pinned");
    assert!(!fresh.join("counts").exists() && !fresh.join("outer").exists());
    // No file system of BPF's.
    let e = object(Path::new(env!("CARGO_TARGET_TMPDIR"))).load(&linux).expect_err("a plain folder");
    assert!(e.to_string().contains("is on no file system of BPF's: mount one"), "{e}");
    println!("pins agreed");
}

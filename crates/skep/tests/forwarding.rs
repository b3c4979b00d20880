//! Packets that XDP programs redirect, sent: by interfaces of devmaps, CPUs of cpumaps, and programs in their elements. On
//! pairs of interfaces in a namespace the same frames arrive as when the kernel runs the programs.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use skep::forward::{Forwarded, HOPS, Transmit};
use skep::source::packet_socket::{PacketSocket, interface_name};
use skep::source::{Packet, PacketType};
use skep::spec::{Errno, LoadOptions, RunInput};
use skep::{Backend, Loaded, Object, Runner};

/// What several threads put in.
type Shared<T> = Arc<Mutex<Vec<T>>>;

/// The first byte behind the Ethernet header says what `main` does with a frame, the second with which element, the sixth what
/// the element's program does. Programs leave traces in those between.
const TEXT: &str = "
.map devs type=devmap key=4 value=8 max_entries=8
.map named type=devmap_hash key=4 value=8 max_entries=8
.map cpus type=cpumap key=4 value=8 max_entries=4
.section xdp
main:
    r6 = *(u32 *)(r1 + 0)
    r2 = *(u32 *)(r1 + 4)
    r3 = r6
    r3 += 24
    if r3 > r2 goto drop
    r4 = *(u8 *)(r6 + 16)
    r4 += 1
    *(u8 *)(r6 + 16) = r4
    r7 = *(u8 *)(r6 + 14)
    r2 = *(u8 *)(r6 + 15)
    r3 = 0
    if r7 == 1 goto devs
    if r7 == 2 goto named
    if r7 == 3 goto all
    if r7 == 4 goto others
    if r7 == 5 goto cpus
    if r7 == 6 goto plain
    if r7 == 7 goto back
    if r7 == 8 goto nowhere
    r0 = 2
    exit
devs:
    r1 = map[devs]
    call bpf_redirect_map
    exit
named:
    r1 = map[named]
    call bpf_redirect_map
    exit
all:
    r1 = map[devs]
    r3 = 8
    call bpf_redirect_map
    exit
others:
    r1 = map[named]
    r3 = 24
    call bpf_redirect_map
    exit
cpus:
    r1 = map[cpus]
    call bpf_redirect_map
    exit
plain:
    r1 = r2
    r2 = 0
    call bpf_redirect
    exit
back:
    r0 = 3
    exit
nowhere:
    r0 = 4
    exit
drop:
    r0 = 1
    exit
.section xdp/devmap
stamp:
    r6 = *(u32 *)(r1 + 0)
    r2 = *(u32 *)(r1 + 4)
    r3 = r6
    r3 += 24
    if r3 > r2 goto out
    r4 = *(u32 *)(r1 + 20)
    *(u8 *)(r6 + 17) = r4
    r4 = *(u32 *)(r1 + 12)
    *(u8 *)(r6 + 18) = r4
    r0 = 1
    r5 = *(u8 *)(r6 + 19)
    if r5 == 1 goto done
    r0 = 3
    if r5 == 2 goto done
    if r5 != 5 goto out
    r2 = -4
    call bpf_xdp_adjust_head
out:
    r0 = 2
done:
    exit
.section xdp/cpumap
onward:
    r6 = *(u32 *)(r1 + 0)
    r2 = *(u32 *)(r1 + 4)
    r3 = r6
    r3 += 24
    if r3 > r2 goto keep
    r4 = *(u8 *)(r6 + 20)
    r4 += 1
    *(u8 *)(r6 + 20) = r4
    r5 = *(u8 *)(r6 + 19)
    r2 = 1
    r3 = 0
    if r5 == 3 goto on
    if r5 == 4 goto round
    r0 = 1
    if r5 == 6 goto done2
keep:
    r0 = 2
done2:
    exit
on:
    r1 = map[devs]
    call bpf_redirect_map
    exit
round:
    r1 = map[cpus]
    call bpf_redirect_map
    exit
";

/// An EtherType for experiments.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

fn frame(op: u8, element: u8, inner: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&[0xff; 6]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&ETHERTYPE);
    (frame[14], frame[15], frame[19]) = (op, element, inner);
    frame
}

fn load(backend: &Backend) -> Loaded {
    let object = Object::parse("forwarding.s", TEXT.as_bytes()).expect("it is assembly");
    object.load(backend).expect("it loads")
}

fn fill(loaded: &Loaded, map: &str, key: u32, target: u32, program: Option<&str>) -> Result<(), Errno> {
    let program = program.map(|name| loaded.program(name).expect("the text has it"));
    let map = loaded.map(map).expect("the text has it");
    map.set_target(&key.to_ne_bytes(), target, program).map_err(|e| e.errno().expect("the system's"))
}

/// What was sent.
#[derive(Clone, Default)]
struct Sent(Shared<(u32, Vec<u8>)>);

impl Transmit for Sent {
    fn transmit(&mut self, ifindex: u32, frame: &[u8]) -> Result<(), Errno> {
        if ifindex == 99 {
            return Err(Errno::ENODEV);
        }
        self.0.lock().expect("not poisoned").push((ifindex, frame.to_vec()));
        Ok(())
    }
}

#[test]
fn packets_go_where_maps_say_and_through_programs() {
    let loaded = load(&Backend::user());
    fill(&loaded, "devs", 0, 1, None).expect("the loopback device");
    fill(&loaded, "devs", 1, 1, Some("stamp")).expect("the loopback device");
    fill(&loaded, "named", 70, 1, Some("stamp")).expect("the loopback device");
    fill(&loaded, "cpus", 0, 64, None).expect("a CPU");
    fill(&loaded, "cpus", 1, 64, Some("onward")).expect("a CPU");
    let sent = Sent::default();
    let runner = Runner::new(loaded.program("main").expect("there")).expect("XDP");
    let mut runner = runner.with_transmit(Box::new(sent.clone()));
    let mut run = |ifindex, op, element, inner| {
        let data = frame(op, element, inner);
        let forwarded =
            runner.run(&Packet { data: &data, ifindex, ..Packet::default() }).expect("runs").forwarded;
        (forwarded, std::mem::take(&mut *sent.0.lock().expect("not poisoned")))
    };
    let none = Forwarded::default();
    let one = Forwarded { sent: 1, ..none };
    // Traces: how often `main` ran, egress, ingress, how often `onward` did.
    let traces = |frame: &[u8]| [16, 17, 18, 20].map(|i| frame[i]);
    let (done, frames) = run(7, 1, 0, 0);
    assert_eq!((done, frames.len(), frames[0].0, traces(&frames[0].1)), (one, 1, 1, [1, 0, 0, 0]));
    assert_eq!(frames[0].1.len(), 60);
    let (done, frames) = run(7, 1, 1, 0);
    assert_eq!((done, frames.len(), traces(&frames[0].1)), (one, 1, [1, 1, 7, 0]));
    let (done, frames) = run(7, 2, 70, 5);
    assert_eq!((done, frames[0].1.len()), (one, 64), "four bytes in front");
    for inner in [1, 2] {
        let dropped = Forwarded { dropped: 1, ..none };
        assert_eq!(run(7, 1, 1, inner), (dropped, vec![]), "dropped, or sent back, by an element's program");
    }
    // To all, with and without the one that it came by.
    let (done, frames) = run(1, 3, 0, 0);
    assert_eq!((done.sent, frames.len()), (2, 2));
    let seen: BTreeSet<_> = frames.iter().map(|(_, frame)| traces(frame)).collect();
    assert_eq!(seen, [[1, 0, 0, 0], [1, 1, 1, 0]].into(), "a program changes its own copy");
    assert_eq!(run(7, 4, 0, 0).0, one);
    assert_eq!(run(1, 4, 0, 0), (none, vec![]));
    // By CPUs.
    let passed = Forwarded { passed: 1, ..none };
    assert_eq!(run(7, 5, 0, 0), (passed, vec![]));
    assert_eq!(run(7, 5, 1, 0), (passed, vec![]));
    assert_eq!(run(7, 5, 1, 6), (Forwarded { dropped: 1, ..none }, vec![]));
    let (done, frames) = run(7, 5, 1, 3);
    assert_eq!((done, traces(&frames[0].1)), (one, [1, 1, 7, 1]), "from there through a devmap's program");
    let failed = |why| Forwarded { failed: 1, error: Some(why), ..none };
    assert_eq!(run(7, 5, 1, 4), (failed(Errno::ELOOP), vec![]), "round and round, {HOPS} times");
    // Without a map, back, and without a place.
    assert_eq!(run(7, 6, 99, 0), (failed(Errno::ENODEV), vec![]));
    assert_eq!(run(7, 6, 3, 0).1[0].0, 3);
    assert_eq!(run(7, 7, 0, 0).1[0].0, 7);
    assert_eq!(run(7, 8, 0, 0), (failed(Errno::EINVAL), vec![]));
    // Nothing there: the flags' verdict, 0.
    assert_eq!(run(7, 1, 5, 0), (none, vec![]));
    assert_eq!(run(7, 0, 0, 0), (none, vec![]), "passed");
}

#[test]
fn a_program_of_an_element_lives_as_long_as_its_map() {
    let loaded = load(&Backend::user());
    fill(&loaded, "devs", 1, 1, Some("stamp")).expect("the loopback device");
    let sent = Sent::default();
    let runner = Runner::new(loaded.program("main").expect("there")).expect("XDP");
    let mut runner = runner.with_transmit(Box::new(sent.clone()));
    // Handles on maps and programs go, but for what runs.
    drop(loaded);
    let data = frame(1, 1, 0);
    let done = runner.run(&Packet { data: &data, ifindex: 7, ..Packet::default() }).expect("runs").forwarded;
    assert_eq!((done.sent, sent.0.lock().expect("not poisoned")[0].1[17]), (1, 1));
}

/// Both backends, the kernel's where it can be asked.
fn backends() -> Vec<Backend> {
    let linux = Backend::linux().map_err(|e| println!("skipped: {e}")).ok();
    [Some(Backend::user()), linux].into_iter().flatten().collect()
}

/// Which programs which elements take, and which maps programs may have then.
#[test]
fn programs_in_elements_as_the_kernel_has_them() {
    const MAPS: &str = "
.map devs type=devmap key=4 value=8 max_entries=4
.map narrow type=devmap key=4 value=4 max_entries=4
.map named type=devmap_hash key=4 value=8 max_entries=4
.map cpus type=cpumap key=4 value=8 max_entries=4
.section xdp
plain:
    r0 = 2
    exit
.section xdp/devmap
dev:
    r0 = 2
    exit
.section xdp.frags/devmap
dev_frags:
    r0 = 2
    exit
.section xdp/cpumap
cpu:
    r0 = 2
    exit
.section xdp.frags/cpumap
cpu_frags:
    r0 = 2
    exit
.section socket
filter:
    r0 = 0
    exit
";
    const PROGRAMS: [&str; 6] = ["plain", "dev", "dev_frags", "cpu", "cpu_frags", "filter"];
    let mut answers = Vec::new();
    for backend in backends() {
        let mut all = Vec::new();
        // Which maps have another program beside, of which kind.
        for user in ["", "xdp", "xdp.frags"] {
            for map in ["devs", "narrow", "named", "cpus"] {
                for program in PROGRAMS {
                    let mut text = MAPS.to_owned();
                    if !user.is_empty() {
                        text += &format!(
                            ".section {user}\nuser:\n    r1 = map[{map}]\n    r2 = 0\n    r3 = 0\n    call \
                             bpf_redirect_map\n    exit\n"
                        );
                    }
                    let object = Object::parse("elements.s", text.as_bytes()).expect("it is assembly");
                    let loaded = object.load(&backend).expect("it loads");
                    let target = if map == "cpus" { 64 } else { 1 };
                    for (key, target) in [(0, target), (1, 0), (9, target)] {
                        let done = fill(&loaded, map, key, target, Some(program));
                        let value = loaded.map(map).expect("there").get::<u32, u64>(&key);
                        let id = value.ok().flatten().map(|v| v as u32);
                        all.push((user, map, program, key, target, done, id));
                    }
                    // Updates without a program take it away.
                    fill(&loaded, map, 0, target, None).expect("legal");
                    if map != "narrow" {
                        let value = loaded.map(map).expect("there").get::<u32, u64>(&0).expect("there");
                        assert_eq!(value.map(|v| v >> 32), Some(0), "{map}");
                    }
                }
            }
        }
        // Such programs run in elements only.
        let loaded =
            Object::parse("elements.s", MAPS.as_bytes()).expect("assembly").load(&backend).expect("loads");
        for program in PROGRAMS {
            let input = RunInput { data: &[0; 64], ..RunInput::default() };
            let ran = loaded.program(program).expect("there").test_run(input);
            let errno = ran.err().and_then(|e| e.errno());
            assert_eq!(errno, PROGRAMS[1..5].contains(&program).then_some(Errno::EINVAL), "{program}");
        }
        answers.push(all);
    }
    if let [user, kernel] = &answers[..] {
        assert_eq!(user, kernel);
    }
    // The other way round: a map's element was there before the program that has the map.
    fn taken(backend: &dyn skep::spec::Backend, element: &str, user: &str) -> bool {
        let text = format!(
            ".map devs type=devmap key=4 value=8 max_entries=4\n.section {user}\nuser:\n    r1 = map[devs]\n    r2 = \
             0\n    r3 = 0\n    call bpf_redirect_map\n    exit\n.section {element}\nelement:\n    r0 = 2\n    exit\n"
        );
        let object = Object::parse("user.s", text.as_bytes()).expect("assembly");
        let map = backend.create_map(&object.maps()[0]).expect("legal");
        let load = |name, maps: &[_]| {
            backend.load(object.program(name).expect("there"), maps, LoadOptions::default())
        };
        let element = load("element", &[]).expect("it loads");
        map.set_target(&[0; 4], 1, Some(&*element), 0).expect("it fits");
        load("user", &[Arc::clone(&map)]).is_ok()
    }
    let linux = skep::linux::LinuxBackend::probe().is_yes().then(skep::linux::LinuxBackend::new);
    let user = skep::user::UserBackend::new();
    let linux = linux.as_ref().map(|b| b as &dyn skep::spec::Backend);
    for backend in [Some(&user as &dyn skep::spec::Backend), linux].into_iter().flatten() {
        for (element, user, fits) in [
            ("xdp/devmap", "xdp", true),
            ("xdp/devmap", "xdp.frags", false),
            ("xdp.frags/devmap", "xdp", false),
            ("xdp.frags/devmap", "xdp.frags", true),
        ] {
            assert_eq!(taken(backend, element, user), fits, "{}: {element}, {user}", backend.name());
        }
    }
}

/// Starts this test again in a network namespace of its own.
#[test]
fn the_same_frames_arrive_as_with_the_kernel() {
    let kernel = skep::linux::LinuxBackend::probe().is_yes();
    let exe = std::env::current_exe().expect("we run");
    let output = Command::new("unshare")
        .arg(if kernel { "-n" } else { "-rn" })
        .arg(exe)
        .args(["--exact", "inside_a_namespace", "--ignored", "--nocapture", "--test-threads=1"])
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => return println!("skipped: no unshare: {e}"),
    };
    let words = [&output.stdout[..], &output.stderr[..]].concat();
    let words = String::from_utf8_lossy(&words);
    if words.contains("unshare failed") {
        return println!("skipped: {}", words.trim());
    }
    for line in words.lines().filter(|l| l.starts_with("skipped:")) {
        println!("{line}");
    }
    assert!(output.status.success(), "{words}");
}

fn shell(script: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-ec", script]).output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{script}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn index(name: &str) -> u32 {
    (1..100).find(|i| interface_name(*i).as_deref() == Some(name)).expect("there is such an interface")
}

/// Frames of ours that arrive at the far ends, each named.
struct Arrivals {
    seen: Shared<(String, Vec<u8>)>,
    _receivers: Vec<skep::source::packet_socket::Receiver>,
}

impl Arrivals {
    fn at(ends: &[&str]) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let start = |end: &&str| {
            let (name, seen) = ((*end).to_owned(), Arc::clone(&seen));
            let receive = move |packet: Packet<'_>| {
                // Four bytes may stand in front.
                let ours = [12, 16].iter().any(|at| packet.data.get(*at..at + 2) == Some(&ETHERTYPE));
                if ours && packet.pkt_type != PacketType::OUTGOING {
                    seen.lock().expect("not poisoned").push((name.clone(), packet.data.to_vec()));
                }
            };
            PacketSocket::open(end).expect("there is one").start(receive).expect("a ring")
        };
        let _receivers = ends.iter().map(start).collect();
        Self { seen, _receivers }
    }

    /// All of them, sorted, once there are `count`, or after a while.
    fn all(&self, count: usize) -> Vec<(String, Vec<u8>)> {
        let start = Instant::now();
        while self.seen.lock().expect("not poisoned").len() < count
            && start.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        // More than there should be would come now.
        std::thread::sleep(Duration::from_millis(100));
        let mut all = self.seen.lock().expect("not poisoned").clone();
        all.sort();
        all
    }
}

fn fill_for_interfaces(loaded: &Loaded) {
    let [b, c] = ["b0", "c0"].map(index);
    for (map, key, target, program) in [
        ("devs", 0, b, None),
        ("devs", 1, c, Some("stamp")),
        ("devs", 2, index("a0"), Some("stamp")),
        ("named", 9, index("a0"), None),
        ("named", b, b, Some("stamp")),
        ("named", c, c, None),
        ("cpus", 0, 64, None),
        ("cpus", 1, 64, Some("onward")),
    ] {
        fill(loaded, map, key, target, program).expect("legal");
    }
}

fn frames() -> Vec<Vec<u8>> {
    let plain = index("b0") as u8;
    let mut all = Vec::new();
    for (op, elements) in [
        (0, &[0][..]),
        (1, &[0, 1, 2, 5]),
        (2, &[9, plain]),
        (3, &[0]),
        (4, &[0]),
        (5, &[0, 1]),
        (6, &[plain]),
        (7, &[0]),
        (8, &[0]),
    ] {
        for element in elements {
            all.extend([0, 1, 2, 3, 5, 6].map(|inner| frame(op, *element, inner)));
        }
    }
    all
}

#[test]
#[ignore = "the_same_frames_arrive_as_with_the_kernel runs it in a namespace"]
fn inside_a_namespace() {
    let pairs = ["a", "b", "c"].map(|p| {
        format!("ip link add {p}0 type veth peer name {p}1; ip link set {p}0 up; ip link set {p}1 up")
    });
    if let Err(why) =
        shell(&format!("sysctl -qw net.ipv6.conf.default.disable_ipv6=1 || true; {}", pairs.join("; ")))
    {
        return println!("skipped: {why}");
    }
    let frames = frames();
    let inject = |sender: &mut dyn Transmit| {
        for frame in &frames {
            sender.transmit(index("a1"), frame).expect("the interface is up");
        }
    };
    let mut sender = PacketSocket::open("a1").expect("there is one").sender().expect("another descriptor");
    // Here.
    let loaded = load(&Backend::user());
    fill_for_interfaces(&loaded);
    let socket = PacketSocket::open("a0").expect("there is one");
    let runner = Runner::new(loaded.program("main").expect("there")).expect("XDP");
    let runner = runner.with_transmit(Box::new(socket.sender().expect("another descriptor")));
    let errors = Arc::new(Mutex::new(BTreeSet::new()));
    let theirs = Arc::clone(&errors);
    let arrivals = Arrivals::at(&["a1", "b1", "c1"]);
    let watch = runner.watch(socket, move |_, verdict| {
        theirs.lock().expect("not poisoned").extend(verdict.expect("runs").forwarded.error);
    });
    let watch = watch.expect("a ring");
    inject(&mut sender);
    // By hand: of each six frames with an element, those whose program lets them pass.
    let expected = 6 + 4 + 4 + 6 + 4 + 6 + 4 + 4 + 6 + 4 + 1 + 6 + 6;
    let ours = arrivals.all(expected);
    watch.stop().expect("receiving works");
    drop(arrivals);
    assert_eq!(ours.len(), expected, "{ours:x?}");
    assert_eq!(
        *errors.lock().expect("not poisoned"),
        [Errno::EINVAL].into(),
        "only redirects without a place"
    );
    // In the kernel: interfaces take frames from programs if there is one at their other end.
    let Ok(backend) = Backend::linux() else { return println!("skipped: no kernel to ask") };
    let loaded = load(&backend);
    fill_for_interfaces(&loaded);
    let pass = Object::parse("pass.s", b".section xdp\npass:\n    r0 = 2\n    exit\n").expect("assembly");
    let pass = pass.load(&backend).expect("it loads");
    let attach = |program: &skep::Program, dev: &str| {
        shell(&format!("bpftool net attach xdpdrv id {} dev {dev}", program.info().id))
    };
    let pass = pass.program("pass").expect("there");
    let attached = ["a1", "b0", "b1", "c0", "c1"].iter().try_for_each(|dev| attach(pass, dev));
    if let Err(why) = attached.and_then(|()| attach(loaded.program("main").expect("there"), "a0")) {
        return println!("skipped: {why}");
    }
    let arrivals = Arrivals::at(&["a1", "b1", "c1"]);
    inject(&mut sender);
    let theirs = arrivals.all(expected);
    assert_eq!(ours, theirs);
}

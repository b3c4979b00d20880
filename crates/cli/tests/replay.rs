//! `skep run` over captures, `prog run` and `map dump`: exact counts.

mod common;
use common::{MIXED, Scratch, capture, code, elements, ipv4, json_lines, line, mixed, run, stderr, stdout};
use serde_json::Value as Json;
use skep::source::capture;

const FORMS: [&str; 2] = ["examples/protocols/protocols.bpf.o", "examples/protocols/protocols.s"];

fn replay(args: &[&str], file: &str) -> Vec<Json> {
    let mut all = vec!["run"];
    all.extend(args);
    all.extend(["--json", "--on", file]);
    json_lines(&run(all))
}

#[test]
fn a_capture_gives_exact_counts_in_every_form() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    for form in FORMS {
        let reports = replay(&[form], &file);
        assert_eq!(reports.len(), 1, "one report at the end");
        let last = &reports[0];
        assert_eq!(elements(last, "packets"), MIXED, "{form}");
        assert_eq!((&last["packets"], &last["final"]), (&20.into(), &true.into()), "{form}");
        assert_eq!(
            (&last["dropped"], &last["faults"], &last["truncated"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert_eq!(last["time"], 1.9, "the capture's clock");
    }
}

#[test]
fn the_kernel_counts_the_same() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    for form in FORMS {
        let output = run(["run", form, "--json", "--linux", "--on", &file]);
        if code(&output) != 0 && stderr(&output).contains("linux backend") {
            println!("skipped: {}", stderr(&output).trim());
            return;
        }
        assert_eq!(elements(&json_lines(&output)[0], "packets"), MIXED, "{form}");
    }
}

#[test]
fn intervals_and_ends_go_by_the_capture_s_clock() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let reports = replay(&[FORMS[1], "--interval", "500ms"], &file);
    let seen: Vec<(f64, u64)> = reports
        .iter()
        .map(|r| (r["time"].as_f64().expect("a time"), r["packets"].as_u64().expect("a count")))
        .collect();
    // A packet every 100 ms: those of the first 0, 0.1, … 0.4 s come before the report at 0.5 s.
    assert_eq!(seen, [(0.5, 5), (1.0, 10), (1.5, 15), (1.9, 20)]);
    let reports = replay(&[FORMS[1], "--for", "700ms"], &file);
    assert_eq!(reports[0]["packets"], 7);
    let reports = replay(&[FORMS[1], "--interval", "500ms", "--count", "2"], &file);
    assert_eq!((reports.len(), &reports[1]["packets"], &reports[1]["final"]), (2, &10.into(), &true.into()));
}

#[test]
fn in_a_pipe_there_is_a_line_per_report() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let output = run(["run", FORMS[0], "--on", &file]);
    assert_eq!(stdout(&output), "1.9s  20 packets, 0 dropped  packets: ICMP=3 TCP=8 UDP=5 ICMPv6=2\n");
}

#[test]
fn packets_that_the_capture_cut_are_counted() {
    let scratch = Scratch::new();
    let mut writer = capture::Writer::new(Vec::new()).expect("memory");
    writer.write(0, &ipv4(17, 60), 1500).expect("memory");
    let file = scratch.file("short.pcap", writer.finish().expect("memory"));
    let report = &replay(&[FORMS[0]], &file)[0];
    assert_eq!((&report["truncated"], elements(report, "packets")), (&1.into(), vec![(17, 1)]));
}

/// `r0` by IP protocol: TCP one, UDP another, anything else a third; UDP packets get another first byte.
fn by_protocol(section: &str, header: u32, [tcp, udp, other]: [i32; 3], change: &str) -> String {
    format!(
        ".license GPL\n.section {section}\nfilter:\nr2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\n\
         r4 += {}\nr0 = {other}\nif r4 > r3 goto out\nr5 = *(u8 *)(r2 + {})\nr0 = {tcp}\nif r5 == 6 goto out\n\
         r0 = {other}\nif r5 != 17 goto out\n{change}\nr0 = {udp}\nout:\nexit\n",
        header + 20,
        header + 9
    )
}

#[test]
fn programs_of_traffic_control_and_control_groups_run_on_captures() {
    let scratch = Scratch::new();
    let frames = [ipv4(6, 60), ipv4(1, 98), ipv4(17, 77), ipv4(6, 61)];
    let (input, out) = (scratch.file("in.pcap", capture(&frames)), scratch.path("out.pcap"));
    let out = out.to_str().expect("text");
    let run = |text: &str| {
        let program = scratch.file("filter.s", text);
        let report = replay(&[&program, "--out", out], &input).remove(0);
        let actions = report["actions"].as_object().expect("actions").clone();
        let actions = actions.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
        let mut passed = Vec::new();
        let bytes = std::fs::read(out).expect("written");
        capture::read(&bytes, |p| passed.push(p.data.to_vec())).expect("a good capture");
        (actions, passed)
    };
    let mut rewritten = frames[2].clone();
    rewritten[0] = 0xaa;
    let (actions, passed) = run(&by_protocol("tc", 14, [0, -1, 2], "*(u8 *)(r2 + 0) = 0xaa"));
    assert_eq!(actions, "TC_ACT_OK 2, TC_ACT_SHOT 1, TC_ACT_UNSPEC 1");
    assert_eq!(passed, [frames[0].clone(), rewritten, frames[3].clone()]);
    let (actions, passed) = run(&by_protocol("cgroup_skb/egress", 0, [1, 3, 0], ""));
    assert_eq!(actions, "drop 1, pass 2, pass, congested 1");
    assert_eq!(passed, [frames[0].clone(), frames[2].clone(), frames[3].clone()]);
}

#[test]
fn redirected_packets_are_counted_by_where_they_go() {
    let scratch = Scratch::new();
    // TCP to interface 7, the rest to CPU 1 by a map that is empty, so that the flags' verdict counts: XDP_PASS.
    const TEXT: &str = ".license GPL\n.map cpus type=cpumap key=4 value=4 max_entries=2\n.section xdp\nfilter:\n\
        r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 24\nr0 = 1\nif r4 > r3 goto out\n\
        r5 = *(u8 *)(r2 + 23)\nif r5 == 6 goto tcp\nr1 = map[cpus] ll\nr2 = 1\nr3 = 2\ncall bpf_redirect_map\nexit\n\
        tcp:\nr1 = 7\nr2 = 0\ncall bpf_redirect\nout:\nexit\n";
    let program = scratch.file("filter.s", TEXT);
    let frames = [ipv4(6, 60), ipv4(1, 98), ipv4(17, 77), ipv4(6, 61)];
    let input = scratch.file("in.pcap", capture(&frames));
    let report = &replay(&[&program], &input)[0];
    assert_eq!(report["actions"], serde_json::json!({ "XDP_PASS": 2, "XDP_REDIRECT": 2 }));
    let to = serde_json::json!([{ "to": "egress", "ifindex": 7, "text": "interface 7", "packets": 2 }]);
    assert_eq!(report["redirects"], to);
    let text = stdout(&run(["run", &program, "--on", &input]));
    assert!(text.contains(", XDP_PASS 2, XDP_REDIRECT 2, redirect to interface 7 2"), "{text}");
}

#[test]
fn xdp_verdicts_are_summed_and_what_passes_is_written() {
    const FILTER: &str = ".license GPL\n.section xdp\nfilter:\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\n\
        r4 = r2\nr4 += 24\nr0 = 1\nif r4 > r3 goto out\nr5 = *(u8 *)(r2 + 23)\nr0 = 2\nif r5 == 6 goto out\n\
        r0 = 1\nif r5 != 17 goto out\n*(u8 *)(r2 + 0) = 0xaa\nr0 = 3\nout:\nexit\n";
    let scratch = Scratch::new();
    let program = scratch.file("filter.s", FILTER);
    let frames = [ipv4(6, 60), ipv4(1, 98), ipv4(17, 77), ipv4(6, 61)];
    let (input, out) = (scratch.file("in.pcap", capture(&frames)), scratch.path("out.pcap"));
    let out = out.to_str().expect("text");
    let report = &replay(&[&program, "--out", out], &input)[0];
    let actions = report["actions"].as_object().expect("actions");
    assert_eq!(
        actions.iter().map(|(k, v)| (k.as_str(), v.as_u64())).collect::<Vec<_>>(),
        [("XDP_DROP", Some(1)), ("XDP_PASS", Some(2)), ("XDP_TX", Some(1))]
    );
    let mut passed = Vec::new();
    let bytes = std::fs::read(out).expect("written");
    capture::read(&bytes, |p| passed.push((p.data.to_vec(), p.time_ns))).expect("a good capture");
    let mut rewritten = frames[2].clone();
    rewritten[0] = 0xaa;
    assert_eq!(
        passed,
        [
            (frames[0].clone(), 1_000_000_000_000),
            (rewritten, 1_000_200_000_000),
            (frames[3].clone(), 1_000_300_000_000)
        ]
    );
}

#[test]
fn what_a_socket_filter_keeps_is_written_as_far_as_it_keeps_it() {
    const FILTER: &str = ".section socket\nkeep:\nr6 = r1\nr0 = *(u8 *)skb[23]\nif r0 == 17 goto udp\nr0 = 0\nexit\n\
        udp:\nr0 = 40\nexit\n";
    let scratch = Scratch::new();
    let program = scratch.file("keep.s", FILTER);
    let (input, out) = (scratch.file("in.pcap", capture(&mixed())), scratch.path("out.pcap"));
    let out = out.to_str().expect("text");
    replay(&[&program, "--out", out], &input);
    let mut kept = Vec::new();
    let bytes = std::fs::read(out).expect("written");
    capture::read(&bytes, |p| kept.push((p.data.len(), p.wire_len))).expect("a good capture");
    assert_eq!(kept, [(40, 80), (40, 81), (40, 82), (40, 83), (40, 84)]);
}

#[test]
fn events_are_decoded_by_their_type_as_they_arrive() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let lines = replay(&["examples/events/events.bpf.o", "watch"], &file);
    let (events, reports): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l["event"] == "events");
    assert_eq!((events.len(), reports.len()), (15, 1), "one per IPv4 packet");
    assert_eq!(events[0]["value"]["kind"], "STREAM");
    assert_eq!(events[0]["value"]["name"], "tcp");
    assert_eq!(events[0]["value"]["len"], 60);
    assert_eq!(events[0]["value"]["time_ns"].as_u64(), Some(1_000_000_000_000), "the capture's clock");
    assert_eq!(events[0]["value"]["source"], serde_json::json!([10, 0, 0, 1]));
    let output = run(["run", "examples/events/events.bpf.o", "watch", "--on", &file]);
    let text = stdout(&output);
    assert!(text.starts_with("events: {.time_ns = 1000000000000, .len = 60,"), "{text}");
    let output =
        run(["run", "examples/events/events.bpf.o", "watch", "--event-type", "nosuch", "--on", &file]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("nosuch"), "{}", stderr(&output));
}

#[test]
fn records_of_a_perf_event_array_are_events_too() {
    const TRACER: &str = ".license GPL\n.map trace type=perf_event_array key=4 value=4 max_entries=1024\n\
        .section socket\ntracer:\n*(u32 *)(r10 - 4) = 0x01020304\nr2 = map[trace] ll\nr3 = 0x3ffffffff ll\nr4 = r10\n\
        r4 += -4\nr5 = 4\ncall bpf_perf_event_output\nr0 = 0\nexit\n";
    let scratch = Scratch::new();
    let program = scratch.file("tracer.s", TRACER);
    let frames = [ipv4(6, 60), ipv4(17, 80)];
    let file = scratch.file("in.pcap", capture(&frames));
    let lines = replay(&[&program], &file);
    let events: Vec<_> = lines.iter().filter(|l| l["event"] == "trace").map(|l| &l["value"]).collect();
    assert_eq!(events.len(), 2, "{lines:?}");
    let mut record = 0x0102_0304u32.to_ne_bytes().to_vec();
    record.extend(&frames[0][..3]);
    assert_eq!(*events[0], serde_json::json!(record), "4 bytes of the program, 3 of the packet");
}

#[test]
fn tail_calls_reach_the_programs_that_the_object_names() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let report = &replay(&["examples/tailcalls/tailcalls.bpf.o", "dispatch"], &file)[0];
    // 0: nobody's (3 ICMP, 2 ICMPv6, 1 TCP over IPv6, 2 ARP), 1: TCP, 2: UDP.
    assert_eq!(elements(report, "counts"), [(0, 8), (1, 7), (2, 5)]);
}

#[test]
fn structs_and_per_cpu_values_are_shown_by_their_types() {
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let report = &replay(&["examples/flows/flows.bpf.o"], &file)[0];
    let flows = report["maps"]["flows"].as_array().expect("flows");
    let tcp = flows.iter().find(|f| f["key"]["protocol"] == "TCP").unwrap_or_else(|| panic!("{report}"));
    assert_eq!(tcp["value"]["packets"], 7, "{tcp}");
    let report = &replay(&["examples/percpu/percpu.bpf.o", "count_ethertypes"], &file)[0];
    let list = report["maps"]["ethertypes"].as_array().expect("a map");
    assert_eq!(list.len(), 3, "IPv4, IPv6, ARP: {report}");
    assert!(list.iter().all(|e| e["values"].as_array().is_some_and(|v| v[0]["cpu"] == 0)), "{report}");
}

#[test]
fn printk_goes_to_stderr() {
    const TALKER: &str = ".license GPL\n.section socket\ntalker:\nr1 = 0x0a6968 ll\n*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -8\n\
        r2 = 4\ncall bpf_trace_printk\nr0 = 0\nexit\n";
    let scratch = Scratch::new();
    let program = scratch.file("talker.s", TALKER);
    let file = scratch.file("in.pcap", capture(&[ipv4(6, 60), ipv4(6, 60)]));
    let output = run(["run", &program, "--json", "--on", &file]);
    assert_eq!(json_lines(&output).len(), 1, "stdout is for data: {}", stdout(&output));
    assert_eq!(stderr(&output).lines().filter(|l| l.contains("hi")).count(), 2, "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let scratch = Scratch::new();
    let file = scratch.file("many.pcap", capture(&vec![ipv4(6, 60); 5000]));
    let mut child = common::skep()
        .args(["run", "examples/events/events.bpf.o", "watch", "--json", "--on", &file])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut first = String::new();
    {
        use std::io::BufRead;
        let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut first).expect("a line");
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(first.starts_with('{'));
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn prog_run_has_bpftool_s_words() {
    let scratch = Scratch::new();
    let packet = scratch.file("packet", ipv4(6, 60));
    let output = run(["prog", "run", FORMS[0], "--data-in", &packet, "--repeat", "10"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("Return value: 0, duration (average): "), "{}", stdout(&output));
    let out = scratch.path("out");
    let output = run([
        "prog",
        "run",
        "examples/xdp_filter/xdp_filter.bpf.o",
        "--data-in",
        &packet,
        "--json",
        "--data-out",
        out.to_str().expect("text"),
    ]);
    let report = &json_lines(&output)[0];
    assert_eq!(report.as_object().expect("an object").keys().collect::<Vec<_>>(), ["retval", "duration"]);
    assert_eq!(report["retval"], 2, "XDP_PASS");
    // It takes one from the time to live and mends the checksum.
    let mut hopped = ipv4(6, 60);
    hopped[22] -= 1;
    hopped[24] += 1;
    assert_eq!(std::fs::read(out).expect("written"), hopped);
    let output = run(["prog", "run", FORMS[0], "--data-in", &scratch.file("short", [0; 3])]);
    assert_eq!(code(&output), 1, "no frame: {}", stdout(&output));
    assert!(stderr(&output).contains("3 bytes"), "{}", stderr(&output));
}

#[test]
fn map_dump_has_bpftool_s_shape() {
    let initial = &json_lines(&line("map dump examples/protocols/protocols.bpf.o packets --json"))[0];
    assert_eq!(initial.as_array().expect("an array").len(), 256);
    assert_eq!(initial[6]["key"], serde_json::json!(["0x06", "0x00", "0x00", "0x00"]));
    assert_eq!(initial[6]["formatted"], serde_json::json!({ "key": "TCP", "value": 0 }));
    let scratch = Scratch::new();
    let file = scratch.file("mixed.pcap", capture(&mixed()));
    let after = &json_lines(&run(["map", "dump", FORMS[0], "packets", "--json", "--on", &file]))[0];
    assert_eq!(after[6]["formatted"]["value"], 8);
    let plain = stdout(&run(["map", "dump", FORMS[1], "packets", "--on", &file]));
    assert!(plain.contains("key: 06 00 00 00  value: 08 00 00 00 00 00 00 00\n"), "{plain}");
    assert!(plain.ends_with("Found 256 elements\n"), "{plain}");
}

#[test]
fn max_entries_can_be_said() {
    let rows = |args: &str| {
        let output = line(args);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        json_lines(&output)[0].as_array().expect("bpftool's array").len()
    };
    let file = "examples/protocols/protocols.bpf.o packets --json";
    assert_eq!(rows(&format!("map dump {file}")), 256);
    assert_eq!(rows(&format!("map dump {file} --max-entries packets=3")), 3);
}

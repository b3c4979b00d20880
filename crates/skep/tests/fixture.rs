//! Contexts as JSON, in pairs of what is taken and what is refused.

use skep::abi::{CtxShape, CtxValue, PROGRAM_TYPES, ProgramType};
use skep::spec::{Environment, ProgramSpec, RunInput};
use skep::{Backend, ErrorKind, Object, context_from_json, context_to_json};

fn image(prog_type: ProgramType, json: &str) -> Result<Vec<u8>, skep::Error> {
    context_from_json(&ProgramSpec::new(prog_type, vec![]), &Environment::default(), json, 60)
}

fn why(prog_type: ProgramType, json: &str) -> String {
    let error = image(prog_type, json).expect_err(json);
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    error.to_string()
}

fn word(image: &[u8], off: usize) -> u32 {
    u32::from_ne_bytes(image[off..off + 4].try_into().expect("four bytes"))
}

#[test]
fn fields_stand_where_the_row_says() {
    let json = r#"{"mark": 7, "cb": [1, 2, 3, 4, "0x5"], "ingress_ifindex": 1, "priority": -1}"#;
    let image = image(ProgramType::SOCKET_FILTER, json).expect("good");
    assert_eq!(image.len(), 192);
    assert_eq!([8, 48, 52, 64, 36, 32].map(|off| word(&image, off)), [7, 1, 2, 5, 1, u32::MAX]);
    assert!(image[76..].iter().all(|b| *b == 0));
    let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, vec![]);
    let json = context_to_json(&spec, &Environment::default(), &image).expect("the same fields");
    assert!(json.contains("\"mark\": 7") && !json.contains("\"sk\""), "{json}");
    let again = context_from_json(&spec, &Environment::default(), &json, 60).expect("reads what it wrote");
    assert_eq!(again, image);
}

#[test]
fn what_is_no_context_is_refused_by_name() {
    const SKB: ProgramType = ProgramType::SOCKET_FILTER;
    for (json, words) in [
        ("", "no JSON"),
        ("{\"mark\": 1,}", "no JSON"),
        ("[1]", "object"),
        (r#"{"mrak": 1}"#, "`mrak`"),
        (r#"{"mark": 4294967296}"#, "`mark`"),
        (r#"{"mark": -2147483649}"#, "`mark`"),
        (r#"{"mark": 1.5}"#, "`mark`"),
        (r#"{"mark": null}"#, "`mark`"),
        (r#"{"mark": [1]}"#, "`mark`"),
        (r#"{"mark": "0xfffffffff"}"#, "`mark`"),
        (r#"{"cb": 1}"#, "`cb`"),
        (r#"{"cb": [1, 2, 3, 4, 5, 6]}"#, "`cb`"),
        (r#"{"cb": [1, "x"]}"#, "`cb[1]`"),
        (r#"{"sk": 1}"#, "pointer"),
    ] {
        let text = why(SKB, json);
        assert!(text.contains(words), "{json}: {text}");
    }
    assert!(why(SKB, r#"{"mrak": 1}"#).contains("mark"), "the fields there are are named");
    assert!(why(ProgramType::XDP, r#"{"data": 0}"#).contains("pointer"));
}

/// Each number of each row can be set and comes back; each pointer is refused.
#[test]
fn all_rows_are_covered() {
    for row in PROGRAM_TYPES {
        let CtxShape::Fields(fields) = row.ctx.shape else { continue };
        for field in fields {
            let array = field.size != field.element_bytes();
            let json = match array {
                true => format!(r#"{{"{}": [0, 5]}}"#, field.name),
                false => format!(r#"{{"{}": 5}}"#, field.name),
            };
            let spec = ProgramSpec::new(row.id, vec![]);
            let result = context_from_json(&spec, &Environment::default(), &json, 0);
            if field.value != CtxValue::Scalar {
                assert!(result.is_err_and(|e| e.to_string().contains(field.name)), "{json}");
                continue;
            }
            let image = result.unwrap_or_else(|e| panic!("{json}: {e}"));
            let at = usize::from(field.off) + if array { usize::from(field.element_bytes()) } else { 0 };
            let set: Vec<usize> = (0..image.len()).filter(|&i| image[i] != 0).collect();
            let expect =
                if cfg!(target_endian = "little") { at } else { at + usize::from(field.element_bytes()) - 1 };
            assert_eq!(set, [expect], "{} {}", row.ctx.name, field.name);
            let json = context_to_json(&spec, &Environment::default(), &image).expect("has fields");
            assert!(json.contains('5'), "{json}");
        }
    }
}

#[test]
fn an_xdp_context_says_where_the_packet_ends() {
    let ctx = image(ProgramType::XDP, r#"{"ingress_ifindex": 1}"#).expect("good");
    assert_eq!((word(&ctx, 4), word(&ctx, 12)), (60, 1));
    let text = b".license GPL\n.section xdp\nmain: r0 = *(u32 *)(r1 + 12)\nexit\n";
    let object = Object::parse("if.s", text).expect("assembles");
    let loaded = object.load(&Backend::user()).expect("accepted");
    let done = loaded.programs()[0].test_run(RunInput { data: &[0; 60], ctx: &ctx, repeat: 1 });
    assert_eq!(done.expect("runs").retval, 1);
}

#[test]
fn raw_tracepoints_have_arguments() {
    let ctx = image(ProgramType::RAW_TRACEPOINT, r#"{"args": [1, -1, "0xffffffffffffffff"]}"#).expect("good");
    assert_eq!(ctx.len(), 96);
    assert_eq!(&ctx[8..24], [0xff; 16]);
    let spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, vec![]);
    let json = context_to_json(&spec, &Environment::default(), &ctx[..24]).expect("args");
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value, serde_json::json!({ "args": [1, u64::MAX, u64::MAX] }));
    assert!(why(ProgramType::RAW_TRACEPOINT, r#"{"arg": [1]}"#).contains("args"));
    assert!(why(ProgramType::RAW_TRACEPOINT, r#"{"args": [0,0,0,0,0,0,0,0,0,0,0,0,0]}"#).contains("12"));
}

#[test]
fn records_have_the_fields_of_their_type() {
    let bytes = std::fs::read("../../examples/syscall/syscall.bpf.o").expect("the example");
    let object = Object::parse("syscall.bpf.o", &bytes).expect("good");
    let loaded = object.load(&Backend::user()).expect("accepted");
    let program = &loaded.programs()[0];
    let ctx = program.context_from_json(r#"{"a": 12, "b": "18"}"#, 0).expect("good");
    assert_eq!(ctx.len(), 32);
    let done = program.test_run(RunInput { data: &[], ctx: &ctx, repeat: 1 }).expect("runs");
    let json: serde_json::Value =
        serde_json::from_str(&program.context_to_json(&done.ctx).expect("its fields")).expect("JSON");
    assert_eq!(json, serde_json::json!({ "a": 12, "b": 18, "gcd": 6, "quotient": 0 }));
    let error = program.context_from_json(r#"{"c": 1}"#, 0).expect_err("no such field").to_string();
    assert!(error.contains("`c`") && error.contains("quotient"), "{error}");
    assert!(program.context_to_json(&[0; 31]).is_err(), "a byte is missing");
    // Without types nobody knows what the bytes are.
    let error = image(ProgramType::SYSCALL, "{}").expect_err("no BTF");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

//! The text of the SSA form: what it looks like, that it is read back, and what is said of wrong ones.

use skep_jit::ir::Module;

const ALL: &str = r#"context 24

function 0 "ma\"in" slot 0 zeroed 16 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = load u8 ctx [v0 + 14]
  v6: i32 = trunc v5 @1
  v7: i32 = const 17
  v8: i32 = const -1
  v9: i64 = const 0xffff900000000001
  branch eq v6, v7 -> block1(v5, v7), block2 @2
block1(v10: i64 @7, v11: i32):
  v12: i64 = zext v11
  v13: i64 = sext u8 v11
  v14: i32 = swap u16 v11
  v15: i32 = cmp slt v10, v12
  v16: i64 = select clear v14, v15 ? v10 : v13
  v17: i64 = frame
  store u32 frame [v17 - 8], v15 @8
  v19: i32 = atomic cmpxchg u32 map [v16], v14 if v15 @9
  atomic add u64 any [v16 + 8], v10 @10
  v21: i64 = atomic fetch_or u64 other [v16], v10 @11
  v22: i32 = load_acquire u32 map [v16]
  store_release u8 map [v16], v22
  v24: i64 = call 1(v0, v1, v2, v3, v4) frame -16..-8, -4..0
  v25: i64 = helper 5(v24)
  v26: i64 = lookup(v9, v17) frame all
  v27: i64 = arg 1
  v28: i64 = cell packet_end
  v29: i64 = tail_call(v0, v9, v27)
  v30: i64 = tick()
  may_goto -> block2, block1(v29, v8)
block2:
  v31: i64 = const 0
  jump block3(v31)
block3(v32: i64):
  return v32
}

function 1 "f" slot 20 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = packet_load u16(v0)
  v6: i64 = load_elsewhere u32(v0)
  v7: i64 = store_elsewhere u32(v0, v1)
  v8: i64 = call_back 2(v0, v1, v2, v3, v4)
  v9: i64 = call_back_next(v8)
  v10: i64 = get_stackid(v0, v1)
  v11: i64 = get_stack(v0)
  v12: i64 = arena 3(v1, v2, v3)
  v13: i64 = check_store u32(v1)
  v14: i64 = check_load u8(v1)
  v15: i64 = find 140000000000001 4096(v1) frame -4..0
  v16: i64 = quick 140000000000001 80()
  v17: i64 = throw(v1)
  unreachable
}
"#;

#[test]
fn every_form_is_read_back() {
    let module = Module::parse(ALL).expect("a text");
    module.check().expect("valid");
    assert_eq!(module.to_string(), ALL);
}

#[test]
fn errors_have_line_and_column() {
    let head = "function 0 \"f\" slot 0 {\nblock0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):\n";
    for (body, want) in [
        ("v5: i64 = frobnicate v0", "3:11: `frobnicate` is no instruction"),
        ("v5: i64 = add v0", "4:1: `,` wanted, found `return`"),
        ("v5: i128 = add v0, v1", "3:5: a type wanted, found `i128`"),
        ("v5: i64 = load u8 moon [v0]", "3:19: a region wanted, found `moon`"),
        ("v5: i64 = const 99999999999999999999", "3:17: `99999999999999999999` is no number of 64 bits"),
        ("v0: i64 = frame", "4:1: v0 is defined a second time before here"),
        (
            "v5: i64 = load u8 map [v0 + 5000000000]",
            "3:29: 5000000000 is out of range for an offset of 32 bits",
        ),
        ("v5: i64 = call 0(v0)", "4:1: a call has five arguments"),
        ("\u{2192}", "3:1: '\u{2192}' begins nothing"),
        ("store u8 map [v0] v1", "3:19: `,` wanted, found `v1`"),
    ] {
        let text = format!("{head}{body}\nreturn v0\n}}");
        assert_eq!(Module::parse(&text).expect_err(body).to_string(), want);
    }
    assert_eq!(
        Module::parse("function 1").unwrap_err().to_string(),
        "1:10: the function's number, 0, wanted, found 1"
    );
    assert_eq!(
        Module::parse("function 0 \"a").unwrap_err().to_string(),
        "1:12: a name without its closing quote"
    );
    assert!(Module::parse(head).is_err());
}

/// Each breaks one rule of the form.
#[test]
fn what_is_not_valid_is_found() {
    let entry = "function 0 \"f\" slot 0 {\nblock0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):\n";
    for (body, want) in [
        ("return v5", "function 0, block0: uses v5, which is in no block"),
        (
            "v5: i64 = add v0, v6\nv6: i64 = frame\nreturn v5",
            "function 0, block0, v5: uses v6 of block0, which may not be defined yet",
        ),
        (
            "branch eq v0, v1 -> block1, block2\nblock1:\nv5: i64 = frame\njump block2\nblock2:\nreturn v5",
            "function 0, block2: uses v5 of block1, which may not be defined yet",
        ),
        ("v5: i32 = add v0, v1\nreturn v0", "function 0, block0, v5: v0 is i64, not i32"),
        ("v5: i64 = trunc v0\nreturn v0", "function 0, block0, v5: gives i32, not i64"),
        ("v5: i32 = load u64 map [v0]\nreturn v0", "function 0, block0, v5: 8 bytes are too many for i32"),
        ("v5: i64 = store u8 map [v0], v1\nreturn v0", "function 0, block0, v5: gives none, not i64"),
        ("atomic add u32 map [v0], v1\nreturn v0", "function 0, block0, v5: v1 is i64, not i32"),
        ("jump block1(v0)\nblock1:\nreturn v0", "function 0, block0: gives block1 1 values for 0 parameters"),
        (
            "v5: i32 = const 1\njump block1(v5)\nblock1(v6: i64):\nreturn v0",
            "function 0, block0: gives block1 v5, i32, for v6, i64",
        ),
        ("jump block0", "function 0, block0: an edge leads to the entry"),
        ("jump block7", "function 0, block0: an edge leads to block7, which there is not"),
        (
            "v5: i64 = call 3(v0, v0, v0, v0, v0)\nreturn v0",
            "function 0, block0, v5: there is no function 3 to call",
        ),
        (
            "v5: i64 = kept 0\nreturn v0",
            "function 0, block0, v5: a piece is handed 11 numbers, other functions none",
        ),
        ("leave 0(1: v0)", "function 0, block0: leaves for function 0, which is no piece"),
        ("v5: i64 = lookup(v0)\nreturn v0", "function 0, block0, v5: lookup does not take 1 operands"),
        (
            "v5: i64 = helper 1(v0) frame -4104..0\nreturn v0",
            "function 0, block0, v5: there are no bytes -4104..0 of a frame",
        ),
        ("v5: i32 = trunc v0\nreturn v5", "function 0, block0: returns v5, which is i32"),
        (
            "v5: i32 = trunc v0\nbranch eq v0, v5 -> block1, block1\nblock1:\nreturn v0",
            "function 0, block0: compares v0 and v5 of different types",
        ),
    ] {
        let module = Module::parse(&format!("{entry}{body}\n}}")).expect(body);
        assert_eq!(module.check().expect_err(body).to_string(), want);
    }
    let mut twice = Module::parse(ALL).expect("a text");
    let again = twice.functions[0].blocks[0].insts[0];
    twice.functions[0].blocks[1].insts.push(again);
    assert_eq!(twice.check().unwrap_err().to_string(), "function 0, block1, v5: is in block0, too");
}

//! What the passes make of small functions.

use skep_jit::ir::Module;
use skep_jit::ir::lookup::Array;
use skep_jit::ir::passes::{Passes, run};

fn passed(text: &str) -> String {
    let mut m = Module::parse(text).expect("a text");
    m.check().expect("valid");
    let array = |content: u64| {
        (content == 0xffff_9000_0000_0000).then_some(Array {
            base: 0x10000,
            stride: 8,
            entries: 4,
            cpu_stride: None,
        })
    };
    run(&mut m, &Passes::ALL, &array);
    m.check().expect("valid");
    m.to_string()
}

#[test]
fn a_sum_over_words() {
    let text = passed(
        r#"function 0 "csum" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 0
  jump block1(v5, v5)
block1(v6: i64, v7: i64):
  v8: i64 = add v0, v6
  v9: i64 = load u16 map [v8]
  v10: i64 = add v7, v9
  v11: i64 = const 2
  v12: i64 = add v6, v11
  v13: i64 = const 512
  branch ne v12, v13 -> block1(v12, v10), block2
block2:
  return v10
}
"#,
    );
    assert_eq!(text.matches("load u16").count(), 8, "{text}");
    assert!(text.contains("branch ult"), "{text}");
}

#[test]
fn a_counter_in_an_array() {
    let text = passed(
        r#"function 0 "count" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = frame
  v6: i32 = const 3
  store u32 frame [v5 - 4], v6
  v8: i64 = const 0xffff900000000000
  v9: i64 = const -4
  v10: i64 = add v5, v9
  v11: i64 = lookup(v8, v10) frame -4..0
  v12: i64 = const 0
  branch eq v11, v12 -> block2, block1
block1:
  v13: i64 = const 1
  atomic add u64 map [v11], v13
  jump block2
block2:
  return v12
}
"#,
    );
    assert!(!text.contains("frame") && !text.contains("branch"), "{text}");
    assert!(text.contains("const 65560") || text.contains("0x10018"), "{text}");
}

#[test]
fn a_loop_of_divisions() {
    let text = passed(
        r#"function 0 "primes" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i32 = trunc v1
  v6: i64 = const 3
  jump block1(v6)
block1(v7: i64):
  v8: i32 = trunc v7
  v9: i32 = const 13
  branch ugt v8, v9 -> block3, block2
block2:
  v10: i32 = trunc v7
  v11: i32 = const 2
  v12: i32 = add v10, v11
  v13: i64 = zext v12
  v14: i32 = urem v5, v12
  v15: i32 = udiv v5, v14
  v16: i64 = zext v15
  v17: i64 = add v16, v13
  branch eq v14, v11 -> block3, block1(v17)
block3:
  return v7
}
"#,
    );
    assert!(text.contains("urem v5, v12 nonzero") && !text.contains("udiv v5, v14 nonzero"), "{text}");
}

#[test]
fn a_short_way() {
    let text = passed(
        r#"function 0 "log2" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 32
  v6: i64 = const 0
  v7: i64 = shr v1, v5
  branch eq v7, v6 -> block2(v1, v6), block1
block1:
  jump block2(v7, v5)
block2(v8: i64, v9: i64):
  v10: i64 = add v8, v9
  return v10
}
"#,
    );
    assert_eq!(text.matches("select eq").count(), 2, "{text}");
}

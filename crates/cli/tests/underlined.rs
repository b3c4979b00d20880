//! Where a refusal is shown in C: the line as it stands in the file, what is meant underlined. Skipped without clang.

mod common;
use common::{Scratch, clang, code, run, stdout};

const TEXT: &str = r#"static void *(*lookup)(void *, const void *) = (void *)1;
struct ev { u32 a; u32 len; u64 data[4]; };
struct { int (*type)[1]; u32 *key; struct ev *value; int (*max_entries)[8]; } m SEC(".maps");
SEC("tc") int assign(struct __sk_buff *ctx)
{
	u32 key = 0;
	struct ev *e = lookup(&m, &key);
	e->len = ctx->len;
	return 0;
}
SEC("tc") int compare(struct __sk_buff *ctx)
{
	u32 key = 0;
	struct ev *e = lookup(&m, &key);
	if (e && e->data[4] > 3)
		return 2;
	return 0;
}
"#;

/// The underlined part of the line that a report shows, and the place that it names.
fn underlined(report: &str) -> (String, String) {
    let lines: Vec<&str> = report.lines().collect();
    let carets = lines.iter().position(|l| l.contains('^')).expect("something is underlined");
    let (start, end) = (lines[carets].find('^').unwrap_or(0), lines[carets].rfind('^').unwrap_or(0));
    let place = lines.iter().find_map(|l| l.trim_start().strip_prefix("--> ")).unwrap_or("");
    let place = place.rsplit('/').next().unwrap_or("").to_owned();
    (lines[carets - 1][start..=end].to_owned(), place)
}

#[test]
fn the_expression_is_underlined_in_its_column() {
    let scratch = Scratch::new();
    let Some(object) = clang::compile(&scratch, "shown", TEXT) else { return };
    let output = run(["check", &object]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    let reports: Vec<&str> = text.split("rejected  ").skip(1).collect();
    assert_eq!(reports.len(), 2, "{text}");
    let assign = underlined(reports[0]);
    assert_eq!(assign, ("e->len = ctx->len".into(), "shown.bpf.c:8:2".into()), "{text}");
    let compare = underlined(reports[1]);
    assert_eq!(compare, ("e->data[4]".into(), "shown.bpf.c:15:11".into()), "{text}");
}

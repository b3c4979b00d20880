//! What the declaration tags of a function expect of it.
//!
//! A tag is `comment:KEY` or `comment:KEY=VALUE`; tags that may occur several times have a number before the value.
//! Only what decides about verdicts and results is read: expected messages change between versions.

use skep_btf::{Btf, Kind};
use skep_spec::ProgramSpec;

/// What is to become of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It loads.
    Success,
    /// It is refused.
    Failure,
}

impl Expect {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What a program is to return from a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retval {
    /// This number.
    Number(u32),
    /// Some address.
    Any,
}

/// The expectations of one kind of loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// The verdict, where the program is a test at all.
    pub expect: Option<Expect>,
    /// The result of a test run.
    pub retval: Option<Retval>,
}

/// The expectations of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Of those who have capabilities.
    pub privileged: Mode,
    /// Of those who have none.
    pub unprivileged: Mode,
    /// Flags to load it with, beside those of all tests.
    pub set_flags: u32,
    /// Flags to leave out.
    pub clear_flags: u32,
    /// It is no test, and serves others.
    pub auxiliary: bool,
    /// Machines that it is for; all, if empty.
    pub machines: Vec<String>,
    /// It wants types of its own for CO-RE.
    pub own_target: bool,
}

/// Flags by their names in tags (include/uapi/linux/bpf.h).
const FLAGS: &[(&str, u32)] = &[
    ("BPF_F_STRICT_ALIGNMENT", ProgramSpec::STRICT_ALIGNMENT),
    ("BPF_F_ANY_ALIGNMENT", 1 << 1),
    ("BPF_F_TEST_RND_HI32", super::setup::TEST_RND_HI32),
    ("BPF_F_TEST_STATE_FREQ", super::setup::TEST_STATE_FREQ),
    ("BPF_F_SLEEPABLE", ProgramSpec::SLEEPABLE),
    ("BPF_F_XDP_HAS_FRAGS", ProgramSpec::XDP_HAS_FRAGS),
    ("BPF_F_TEST_REG_INVARIANTS", super::setup::TEST_REG_INVARIANTS),
];

/// Reads the tags of a function; `None` where there are none that make a test of it.
pub fn read(btf: &Btf, function: &str) -> Option<Tags> {
    let id = btf.find_by_name(Some(Kind::Func), function)?;
    let mut tags = Tags::default();
    let (mut is_test, mut said_unprivileged, mut retval_unprivileged) = (false, false, false);
    for text in btf.decl_tags(id, None) {
        let Some(text) = text.strip_prefix("comment:test_") else { continue };
        is_test = true;
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match key {
            "expect_success" => tags.privileged.expect = Some(Expect::Success),
            "expect_failure" => tags.privileged.expect = Some(Expect::Failure),
            "expect_success_unpriv" => tags.unprivileged.expect = Some(Expect::Success),
            "expect_failure_unpriv" => tags.unprivileged.expect = Some(Expect::Failure),
            // A message or a result makes a test of what says no verdict; libbpf's loader takes success then.
            "expect_msg" | "expect_xlated" => {
                tags.privileged.expect.get_or_insert(Expect::Success);
            }
            "expect_msg_unpriv" | "expect_xlated_unpriv" => said_unprivileged = true,
            "retval" => {
                tags.privileged.retval = retval(value);
                tags.privileged.expect.get_or_insert(Expect::Success);
            }
            "retval_unpriv" => {
                tags.unprivileged.retval = retval(value);
                (said_unprivileged, retval_unprivileged) = (true, true);
            }
            "prog_flags" => {
                let (into, name) = match value.strip_prefix('!') {
                    Some(name) => (&mut tags.clear_flags, name),
                    None => (&mut tags.set_flags, value),
                };
                let known = FLAGS.iter().find(|(n, _)| *n == name).map(|&(_, bit)| bit);
                *into |= known.or_else(|| number(name)).unwrap_or(0);
            }
            "auxiliary" | "auxiliary_unpriv" => tags.auxiliary = true,
            "arch" => tags.machines.push(value.to_ascii_lowercase()),
            "btf_path" => tags.own_target = true,
            // Log level, description, messages of the JIT.
            _ => {}
        }
    }
    if !is_test {
        return None;
    }
    if tags.privileged.expect.is_none() && tags.unprivileged.expect.is_none() && !said_unprivileged {
        tags.privileged.expect = Some(Expect::Success);
    }
    if said_unprivileged && tags.unprivileged.expect.is_none() {
        tags.unprivileged.expect = Some(tags.privileged.expect.unwrap_or(Expect::Success));
    }
    if !retval_unprivileged {
        tags.unprivileged.retval = tags.privileged.retval;
    }
    Some(tags)
}

fn retval(text: &str) -> Option<Retval> {
    match text {
        "POINTER_VALUE" | "0xcafe4all" => Some(Retval::Any),
        "INT_MIN" => Some(Retval::Number(i32::MIN as u32)),
        "TEST_DATA_LEN" => Some(Retval::Number(super::setup::PACKET_LEN as u32)),
        _ => number(text).map(Retval::Number),
    }
}

/// A number as C has it, cut to 32 bits.
fn number(text: &str) -> Option<u32> {
    let (text, minus) = text.strip_prefix('-').map_or((text, false), |t| (t, true));
    let value = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => text.parse::<i64>().ok()?,
    };
    Some(if minus { value.wrapping_neg() } else { value } as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_has_them() {
        assert_eq!(number("-1"), Some(u32::MAX));
        assert_eq!(number("0x80000000"), Some(1 << 31));
        assert_eq!(number("42"), Some(42));
        assert_eq!(number("x"), None);
        assert_eq!(retval("POINTER_VALUE"), Some(Retval::Any));
        assert_eq!(retval("TEST_DATA_LEN"), Some(Retval::Number(64)));
    }
}

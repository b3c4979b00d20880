//! Exceptions.

use super::{Does, Row};

pub(super) static ROWS: &[Row] = &[Row { decl: "void bpf_throw(u64 cookie)", does: Does::Throw }];

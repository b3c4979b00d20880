//! `skep gen skeleton`: code from an object.

use std::path::Path;

use crate::failure::{BAD_INPUT, Failure};
use crate::{out, text};

/// Runs `skep gen skeleton`.
pub fn skeleton(file: &Path) -> Result<(), Failure> {
    let bytes = text::read(file)?;
    let code = skep_build::generate(&file.display().to_string(), &bytes)
        .map_err(|e| Failure::Message(BAD_INPUT, e.to_string()))?;
    out::write(code.as_bytes())
}

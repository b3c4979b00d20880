//! `skep gen skeleton`: code from an object.

use std::path::Path;

use crate::failure::{BAD_INPUT, Failure};
use crate::{out, text};

/// Runs `skep gen skeleton`.
pub fn skeleton(file: &Path, records: &[String]) -> Result<(), Failure> {
    let record = |said: &String| {
        let (map, ty) = said
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--record {said}: MAP=TYPE is wanted, as events=event")))?;
        Ok::<_, Failure>((map.to_owned(), ty.to_owned()))
    };
    let records = records.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    let bytes = text::read(file)?;
    let code = skep_build::generate_with(&file.display().to_string(), &bytes, &records)
        .map_err(|e| Failure::Message(BAD_INPUT, e.to_string()))?;
    out::write(code.as_bytes())
}

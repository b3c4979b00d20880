//! `skep link`: several objects as one.

use skep::static_link;

use crate::args::LinkArgs;
use crate::failure::Failure;
use crate::text::read;

/// Links the files in their order. Nothing is written unless all fit.
pub fn main(args: &LinkArgs) -> Result<(), Failure> {
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        files.push((path.display().to_string(), read(path)?));
    }
    let inputs: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
    let linked = static_link(&inputs)?;
    std::fs::write(&args.output, linked).map_err(|e| Failure::file("write", &args.output, &e))
}

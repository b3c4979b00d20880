//! `--out`: what a program lets through, as a capture; and the first thing that went wrong in a run.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use skep::source::Packet;
use skep::source::capture::Writer;
use skep::{Error, Verdict, Verdicts};

use super::create;
use super::redirects::Redirects;
use crate::diagnostic;
use crate::failure::Failure;

/// Takes verdicts, from whichever thread.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    out: Option<(PathBuf, Writer<BufWriter<File>>)>,
    failed: Option<std::io::Error>,
    faults: u64,
    redirects: Redirects,
}

impl Sink {
    /// A sink that writes to a file, if one is given, and counts redirected packets.
    pub fn new(out: Option<&Path>, redirects: Redirects) -> Result<Self, Failure> {
        let out = match out {
            None => None,
            Some(path) => {
                let writer = Writer::new(BufWriter::new(create(path)?));
                Some((path.to_owned(), writer.map_err(|e| Failure::file("write", path, &e))?))
            }
        };
        Ok(Self(Arc::new(Mutex::new(Inner { out, failed: None, faults: 0, redirects }))))
    }

    /// Reports say what was sent.
    pub fn sends(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).redirects.sends();
    }

    /// Takes a verdict. The first fault is told; later ones are counted only.
    pub fn take(&self, verdicts: Verdicts, packet: &Packet<'_>, verdict: Result<Verdict<'_>, Error>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(e) => {
                inner.faults += 1;
                if inner.faults == 1 {
                    diagnostic::error(&format!("{e} (later faults are counted only)"));
                }
                return;
            }
        };
        if let Some(redirect) = &verdict.redirect {
            inner.redirects.count(redirect);
        }
        inner.redirects.sent(&verdict.forwarded);
        if inner.failed.is_some() {
            return;
        }
        let Some((_, writer)) = &mut inner.out else { return };
        if !verdicts.forwards(verdict.retval) {
            return;
        }
        let written = if verdicts == Verdicts::Keep {
            let keep = packet.data.len().min(verdict.retval as usize);
            writer.write(packet.time_ns, &packet.data[..keep], packet.wire_len)
        } else {
            let missing = (packet.wire_len as usize).saturating_sub(packet.data.len());
            writer.write(packet.time_ns, verdict.data, (verdict.data.len() + missing) as u32)
        };
        if let Err(e) = written {
            inner.failed = Some(e);
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(), Failure> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = inner.failed.take();
        let Some((path, writer)) = inner.out.take() else { return Ok(()) };
        let packets = writer.packets();
        match failed.map_or_else(|| writer.finish().map(drop), Err) {
            Ok(()) => {
                diagnostic::note(&format!("{packets} packets written to `{}`", path.display()));
                Ok(())
            }
            Err(e) => Err(Failure::file("write", &path, &e)),
        }
    }
}

//! Whether `bpf(2)` can be used here.

/// Answer of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It works.
    Yes,
    /// It cannot work, and why.
    No(String),
    /// It failed for a reason that may pass; never to be cached.
    Inconclusive(String),
}

impl Probe {
    /// Whether the answer is [`Probe::Yes`].
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }

    /// Why the answer is not yes.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Yes => None,
            Self::No(why) | Self::Inconclusive(why) => Some(why),
        }
    }
}

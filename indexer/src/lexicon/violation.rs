//! Where a value breaks its lexicon, and how.

use std::fmt;

/// What a value does that its lexicon does not allow. Bounded in length whatever the value was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: `subject.uri`, `items[3].subject`, the name of a parameter; empty for the value as a whole.
    pub path: String,
    /// What is wrong there, for an operator or a client's developer to read.
    pub problem: String,
}

impl Violation {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Violation { path: String::new(), problem: problem.into() }
    }

    /// The same, found in the value under this key.
    pub(super) fn under(mut self, key: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{separator}{}", self.path);
        self
    }

    /// The same, found in this item of a list.
    pub(super) fn at(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Violation {}

/// Text from outside, made fit for a message: quoted, control characters escaped, cut to 64 characters.
pub(super) fn quoted(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(64).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{start:?}{more}")
}

//! What a test is.

use super::suite::Suite;
use crate::vm::Outcome;

/// Why a test failed, and what is known of the VM, if there was one.
pub struct Failure {
    /// For the reader.
    pub reason: String,
    /// The last that came over the serial lines.
    pub outcome: Option<Box<Outcome>>,
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            reason: error.to_string(),
            outcome: None,
        }
    }
}

/// How a test ends.
pub type Verdict = Result<(), Failure>;

/// What a test does.
type Body = Box<dyn Fn(&Suite) -> Verdict + Send + Sync>;

/// One test.
pub struct Case {
    /// Its name: parts with slashes, the general ones first.
    pub name: String,
    /// Whether it needs the machine for itself: builds use all CPUs.
    pub alone: bool,
    /// What it does.
    pub body: Body,
}

impl Case {
    /// A test that may run beside others.
    pub fn new(
        name: impl Into<String>,
        body: impl Fn(&Suite) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            alone: false,
            body: Box::new(body),
        }
    }

    /// A test that runs alone.
    pub fn alone(
        name: impl Into<String>,
        body: impl Fn(&Suite) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            alone: true,
            ..Self::new(name, body)
        }
    }
}

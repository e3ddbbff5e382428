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

/// Gets what a test needs and this machine may be unable to get; if it is, the text says
/// why, and what to do.
type Need = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// One test.
pub struct Case {
    /// Its name: parts with slashes, the general ones first.
    pub name: String,
    /// Whether it needs the machine for itself: builds use all CPUs.
    pub alone: bool,
    /// What comes before: without it, the test is not run, which is no failure.
    pub need: Option<Need>,
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
            need: None,
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

    /// The same test, which is only run where `need` gets what it needs.
    pub fn needing(self, need: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self {
            need: Some(Box::new(need)),
            ..self
        }
    }
}

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

/// What may run while a test does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Builds and tests for the host, which do not look at the time. They come first.
    Builds,
    /// Nothing: it looks at the time closely, or needs most of the machine.
    Nobody,
    /// Other guests, and builds for them. They come last.
    Guests,
}

/// One test.
pub struct Case {
    /// Its name: parts with slashes, the general ones first.
    pub name: String,
    /// What may run at the same time.
    pub company: Company,
    /// What comes before: without it, the test is not run, which is no failure.
    pub need: Option<Need>,
    /// What it does.
    pub body: Body,
}

impl Case {
    /// A test that may run beside other guests.
    pub fn new(
        name: impl Into<String>,
        body: impl Fn(&Suite) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            company: Company::Guests,
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
            company: Company::Nobody,
            ..Self::new(name, body)
        }
    }

    /// A test that is a build, or runs on the host.
    pub fn build(
        name: impl Into<String>,
        body: impl Fn(&Suite) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            company: Company::Builds,
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

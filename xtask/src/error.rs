//! The one error type: what to tell the user, and the status to exit with.

use std::fmt;

/// Why xtask could not do what it was asked.
#[derive(Debug)]
pub struct Error {
    status: u8,
    message: String,
}

/// What nearly every function here returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Something went wrong on the way: exit status 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            status: 1,
            message: message.into(),
        }
    }

    /// The user has to do something first (a mistyped option, a missing file,
    /// a tool to install): exit status 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            status: 2,
            message: message.into(),
        }
    }

    /// A signal asked xtask to end: the status that shells give such an end.
    #[cfg(feature = "full")]
    pub fn interrupted() -> Self {
        Self {
            status: crate::interrupt::status().unwrap_or(130),
            message: "interrupted".into(),
        }
    }

    /// The status for the shell.
    pub fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error} (see `cargo xtask help`)"))
    }
}

/// Puts a sentence about what was being done in front of an error.
pub trait Context<T> {
    /// `what` completes "cannot …".
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::failed(format!("cannot {}: {error}", what())))
    }
}

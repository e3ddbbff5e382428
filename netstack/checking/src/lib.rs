//! What the tests of the cluster's protocols have in common: models are explored, guards are taken out
//! one at a time, and how much is tried comes from the environment. For tests only, on the host.
#![forbid(unsafe_code)]

mod guards;
mod models;
mod quiet;

pub use guards::{Notice, Row, missed, model_notices, row_notices, schedules_notice};
pub use models::{Explored, explore, explore_part, violated};
pub use quiet::quietly;

/// The number that the environment variable `name` says, if it says one.
#[must_use]
pub fn cases(name: &str, usual: u32) -> u32 {
    let cases = std::env::var(name).ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

//! Tests that others have written, compiled for the guest and run in it: the
//! standard library's and those of crates. All of them are programs that
//! libtest, the harness behind `#[test]`, makes.

mod account;
mod crates;
mod list;
mod manifest;
mod output;
mod run;
mod skip;
mod std_tests;

use super::case::Case;
use crate::error::Result;
use crate::kernel::Profile;

/// How the tests are compiled. Users run optimised programs, too.
const PROFILE: Profile = Profile::Release;

/// Those of crates.
pub fn crates() -> Result<Vec<Case>> {
    crates::cases()
}

/// Those of crates, on several machines that are one system.
pub fn deep_crates() -> Result<Vec<Case>> {
    crates::deep_cases()
}

/// Those of the standard library.
pub fn std_tests() -> Result<Vec<Case>> {
    std_tests::cases()
}

//! Links the Darner unikernel into a program.
//!
//! ```ignore
//! use hermit as _;
//!
//! fn main() {
//!     println!("Hello from a machine of my own");
//! }
//! ```
//!
//! That line is all that a program says; `cargo build --target
//! x86_64-unknown-hermit` then compiles the kernel (this crate's build script
//! sees to it) and links the program into an image that boots. The crate bears
//! the name and the feature names of the Hermit unikernel's own, so that a
//! program written for Hermit moves here with one line:
//!
//! ```toml
//! [patch.crates-io]
//! hermit = { path = "…/unikernel/hermit" }
//! ```
//!
//! For any other target the crate is empty: the same program then is an
//! ordinary one of that system.

#![no_std]

//! The loader's executable: entered by the VMM, it finds the program, puts it
//! into memory and enters it.
//!
//! Everything here runs once, on the boot CPU, with interrupts off, and ends in
//! the program or in [`fail`](machine::fail). There are no exception handlers:
//! what can go wrong is checked before.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod machine;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "This is the host build of darner-loader, which does nothing: the loader runs on bare metal. \
         `cargo xtask run` builds it for x86_64-unknown-none and boots it."
    );
    std::process::exit(2);
}

//! Links the bare-metal executable with the loader's own layout: a fixed
//! address, and the note that tells a VMM where to enter.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=loader.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
        println!("cargo:rustc-link-arg-bins=-T{root}/loader.ld");
        // The target's default is a position-independent executable, which needs
        // somebody to relocate it; nobody does that for the first code to run.
        println!("cargo:rustc-link-arg-bins=--no-pie");
    }
}

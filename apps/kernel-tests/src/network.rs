//! Network cards without the network stack: each has QEMU's gateway send frames back, and is
//! given more than there is room for.

use std::process::ExitCode;

use crate::kernel;

/// Frames that go back and forth.
const ECHOES: u64 = 10_000;
/// Frames that go back and forth one at a time.
const ONE_BY_ONE: u64 = 500;
/// Frames that go out as fast as they can.
const BURST: u64 = 4_000;
/// How often many frames go out and are waited for.
const TAKEN: u64 = 50;

/// Tests all cards and prints one line for each; 1 if one of them failed, or there is none.
pub fn run() -> ExitCode {
    match test() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED network: {error}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<(), String> {
    let cards = kernel::run("network-begin", 0)?;
    if cards == 0 {
        return Err("found no network card, expected one (QEMU: -netdev user,id=n -device virtio-net-pci,netdev=n)".into());
    }
    for card in 0..cards {
        let test = |name: &str, amount: u64| kernel::run(name, card << 32 | amount);
        let interrupts = test("network-echoes", ECHOES)?;
        let waits = test("network-one-by-one", ONE_BY_ONE)?;
        let full = test("network-burst", BURST)?;
        let taken = test("network-taken", TAKEN)?;
        println!(
            "ok     network card {card} ({ECHOES} frames came back, with {interrupts} interrupts; \
             {ONE_BY_ONE} one by one, with {waits}; {BURST} went out, {full} times there was no room; \
             {TAKEN} times many, {taken} times they were waited for)"
        );
    }
    Ok(())
}

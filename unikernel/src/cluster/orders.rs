//! What a node is told from outside.
//!
//! The program's standard input is the first node's. On the others, a line on the console is an order: `drain`.

use alloc::string::String;

use super::drain::{self, NotDrained};
use crate::console;

/// The longest line that is looked at, in bytes.
const LONGEST: usize = 64;

/// Obeys, until no more can come. A thread of its own.
pub fn listen() {
    let mut line = String::new();
    let mut byte = [0];
    while let Ok(1) = console::read_stdin(&mut byte, false) {
        match byte[0] {
            b'\r' | b'\n' => {
                obey(line.trim());
                line.clear();
            }
            byte if line.len() < LONGEST => line.push(byte.into()),
            _ => {}
        }
    }
}

fn obey(order: &str) {
    match order {
        "" => {}
        "drain" => match drain::begin() {
            Ok(()) => log::info!(
                "this node takes no more threads, and leaves when its last one has ended"
            ),
            Err(NotDrained::Already) => log::warn!("this node drains already"),
            Err(why) => log::warn!("this node cannot be drained: {why:?}"),
        },
        other => log::warn!("found `{other}` on the console, expected `drain`"),
    }
}

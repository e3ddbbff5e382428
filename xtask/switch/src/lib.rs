//! A learning Ethernet switch that joins virtual machines, and can be as bad a network
//! as a test wants.
//!
//! ```text
//!   VM ─ socket ─▶ Line ──────────────▶ Fabric ─────────────▶ Shaper ─ socket ─▶ VM
//!                  loss, corruption,    learns addresses,     bandwidth,
//!                  reordering, copies,  knows who hears whom  queue limit
//!                  delay
//! ```
//!
//! All of that is [`Core`], which does neither input nor output and knows no clock: it is
//! told what arrives when, and hands what leaves to a [`Wires`]. [`Server`] is the thin
//! shell around it: one thread, a Unix socket for each port.
//!
//! Faults are drawn from a seed. What happens to the n-th frame of a port depends on the
//! seed, the port and n alone, so a run can be repeated as far as the machines on it
//! send the same.

#![forbid(unsafe_code)]

mod capture;
mod core;
mod counters;
mod fabric;
mod faults;
mod frame;
mod framing;
mod line;
mod reset;
mod server;
mod shaper;

use std::fmt;
use std::time::Duration;

pub use crate::core::{Change, Core, Link, Wires};
pub use capture::Capture;
pub use counters::{Counters, Egress, Ingress, PortCounters};
pub use fabric::Partition;
pub use faults::{Faults, Plan, Probability, Rate, SpecError, spread};
pub use frame::MAX_FRAME;
pub use framing::{Broken, Incoming, Next, Outgoing};
pub use line::Fate;
pub use server::{Event, Server};

/// Time since the switch was started.
pub type Time = Duration;

/// A port of the switch, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

impl PortId {
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }

    pub(crate) fn of(index: usize) -> Self {
        Self(u16::try_from(index).expect("a switch has at most 65535 ports"))
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

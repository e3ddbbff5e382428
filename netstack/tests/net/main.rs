//! Stacks, servers and wires in a simulated world.

mod lonely;
mod servers;
mod sim;
mod transfer;

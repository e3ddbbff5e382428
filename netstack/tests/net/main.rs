//! Stacks, servers and wires in a simulated world.

mod crowd;
mod datagrams;
mod lonely;
mod servers;
mod sim;
mod transfer;

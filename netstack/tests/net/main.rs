//! Stacks, servers and wires in a simulated world.

mod configure;
mod crowd;
mod datagrams;
mod fuzz;
mod lonely;
mod servers;
mod sim;
mod transfer;

//! Stacks, servers and wires in a simulated world.

mod configure;
mod crowd;
mod datagrams;
mod lonely;
mod servers;
mod sim;
mod speed;
mod transfer;

//! Stacks, servers and wires in a simulated world.

mod alternate;
mod configure;
mod crowd;
mod datagrams;
mod lonely;
mod nowhere;
mod servers;
mod sim;
mod speed;
mod transfer;

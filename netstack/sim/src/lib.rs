//! A cluster in virtual time: the protocols that nodes run, a network that misbehaves, and
//! checks after every step.
//!
//! The nodes are the very state machines of the kernel; only what surrounds them is simulated:
//! memory, of which a page is one number, threads, links, clocks. All chance comes from a
//! seed, and there are no threads and no real time, so an *episode* ([`Plan`]) is the same each
//! time it is played. Episodes differ in everything that can differ: so many
//! nodes, pages, sizes of tables, such work, such a network, such faults.
//!
//! | module | what it has |
//! |---|---|
//! | [`plan`] | what an episode is made with |
//! | [`op`] | what threads do |
//! | [`work`] | of that: locks, words that are waited for |
//! | [`fault`] | what goes wrong |
//! | [`script`] | what happened, to be played again in whole or in part |
//! | [`shrink`] | the part that matters |
//! | [`World`] | the cluster |
//! | [`Campaign`] | many episodes |
//! | [`scale`] | what it costs as the cluster grows |
//! | [`oracle`] | what must be true |

#![forbid(unsafe_code)]

pub mod campaign;
mod chance;
pub mod fault;
mod machine;
mod network;
pub mod op;
pub mod oracle;
pub mod plan;
pub mod scale;
pub mod script;
pub mod shrink;
pub mod time;
pub mod work;
pub mod world;

pub use campaign::{Campaign, Failed, Go};
pub use oracle::{Violation, Wrong};
pub use plan::{Plan, Wishes};
pub use script::Script;
pub use world::{Counts, World};

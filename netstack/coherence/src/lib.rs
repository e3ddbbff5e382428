//! The coherence of cluster memory.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod agent;
mod directory;
mod event;
mod home;
mod homes;
mod ids;
mod message;
pub mod mutants;
mod node;
mod outbox;
mod sharers;

pub use agent::{Agent, AgentLimits};
pub use directory::{Directory, Pattern, Record, State};
pub use event::{Action, Dirt, Event, Failure, MoveRefusal, View, Violation};
pub use home::{Home, HomeLimits};
pub use homes::Slices;
pub use ids::{Access, Epoch, NodeId, PageIndex, RequestId, Rights, Serial, Time, Token};
pub use message::{
    Advice, Backing, Collector, Content, Grant, LONGEST_RUN, LONGEST_SPAN, Message, Outcome,
    Packet, Purpose, Reported, Written,
};
pub use node::{Config, Node};
pub use sharers::{Grouping, SharerSet};

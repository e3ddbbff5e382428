//! What a node tells of itself in numbers.
//!
//! The kernel fills a [`Snapshot`] for a program that asks (`sys_darner_stats`), or writes it
//! as [records] when the node ends; `cargo xtask run --stats` reads those. A program and the
//! tool show it as [`Stats`]. While a program runs, a node of a cluster tells of itself by
//! [samples](sample). All take the types from here, so they cannot differ.

#![no_std]
#![forbid(unsafe_code)]

mod cluster;
mod cluster_table;
mod histogram;
mod messages;
pub mod records;
pub mod sample;
mod snapshot;
mod stats;
mod table;
mod top_k;

pub use cluster::{Count, Direction, NodeStatistics, WORDS};
pub use cluster_table::ClusterTable;
pub use histogram::Histogram;
pub use messages::{CALLS, KINDS, MESSAGES};
pub use sample::{HotPage, Place, Sample};
pub use snapshot::{CLASSES, Class, Heap, Node, Snapshot, Totals};
pub use stats::{Memory, Stats};
pub use top_k::{Entry, TopK};

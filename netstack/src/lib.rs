//! The network stack of a node: what turns frames into sockets and back.
//!
//! One thread owns all of it, the *protocol thread*: interfaces, routes, connections,
//! timers. Nothing is locked, for nobody else touches it. In the kernel that thread is
//! woken by the cards' interrupts, by programs and by time; on the host it is whatever
//! calls [`Stack::step`], so all of it can be tested without a machine.
//!
//! ```text
//!   program threads                    the protocol thread                  the cards
//!   ───────────────                    ───────────────────                  ─────────
//!   Request ──────────────────────────▶ Stack::request ─┐
//!                                                       ├─ smoltcp ─────▶ Transmit
//!   Stream.to_send     ══ byte ring ══▶ Stack::step  ───┤
//!   Stream.received    ◀══ byte ring ══                 ◀─ smoltcp ────── Receive
//!   Wait::wake         ◀───────────────┘
//! ```
//!
//! Data and control take different ways. *Control* (bind, connect, listen, an option, a
//! name to be looked up) is a [`Request`], a message that is answered at once: the stack
//! never keeps one. *Data* goes through rings ([`Stream`]) and queues ([`Datagrams`]) with
//! one producer and one consumer each; who has put something in says so with
//! [`Request::Attend`], and who has to wait does so at the socket's own wait point. The
//! thread need not be woken for every datagram ([`socket::Batching`]).
//! Pressure goes all the way back: a program that does not read fills its ring, which
//! fills smoltcp's buffer, which closes the window that the other end sees.
//!
//! | module | what it has |
//! |---|---|
//! | [`nic`] | what the stack asks of a network card |
//! | [`socket`] | the ends of sockets that programs hold |
//! | [`request`] | what programs ask, what they are told |
//! | [`config`] | how interfaces get addresses |
//! | [`checksum`] | the Internet's checksum |
//! | [`stack`] | the protocol thread's part |

#![cfg_attr(not(loom), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod checksum;
pub mod config;
pub mod error;
pub mod nic;
pub mod request;
pub mod socket;
pub mod stack;
mod sync;

pub use config::{ConfigError, InterfaceConfig, NetworkConfig};
pub use error::Error;
pub use nic::Nic;
pub use request::{Reply, Request};
pub use socket::{Accepted, Datagram, Datagrams, Listener, Lookup, SocketId, Stream, Wait};
pub use stack::{Stack, Step};

/// Nanoseconds of the monotonic clock.
pub type Nanos = u64;

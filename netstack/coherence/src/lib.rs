//! The coherence of cluster memory: page by page, one node may write, or several may read.
//!
//! Each page has a *home*, which knows who has copies of it and, unless a copy is newer, has its bytes. Each node
//! has an *agent*, which knows what the node has copies of and which threads wait. [`Node`] is both
//! for one node. It does no I/O: it takes [`Event`]s and returns [`Action`]s. It never holds a page's
//! bytes, either; they are in the environment's frames, and an action says when to send, store
//! and free them. Links are reliable and keep the order between two nodes. Between
//! different links there is no order.
//!
//! # States
//!
//! An agent's copy, which is what the page table says:
//!
//! | copy | mapped | the home thinks |
//! |---|---|---|
//! | none | nothing | anything: clean copies are dropped in silence |
//! | kept | nothing | idle; bytes that may be current, asked for by their [`Serial`] |
//! | shared | read | shared; or owned, by this node or another |
//! | exclusive | read and write | exclusive; whether it was written is in the page table's dirty bit |
//!
//! *Older* marks a copy that the home's bytes are older than: it is written back, never dropped. It goes along when
//! a page is handed over.
//!
//! # What a home does
//!
//! Rows are what arrives, columns the [`State`] of the page; r is the requester, o the owner or holder.
//!
//! | | idle | shared | owned (o has newer bytes) | exclusive (o) |
//! |---|---|---|---|---|
//! | read | grant exclusive | grant shared; exclusive if r is the only sharer | recall o's bytes, grant shared; r is the home: forward to o; r's bytes are current: grant shared | forward to o; o = r dropped it clean: grant exclusive |
//! | write | grant exclusive | invalidate all others, grant exclusive | invalidate all others; r's bytes are current: grant, else forward to o | as above |
//! | note: shared | – | – | add r | shared, or owned if o wrote |
//! | note: gave | – | – | exclusive (r) | exclusive (r) |
//! | note: not held | – | – | shared; serve r | idle; serve r |
//! | bytes recalled to share | – | – | shared; serve r | shared; serve r |
//! | write-back by o | – | acknowledge | shared; serve r, if forwarded | idle; serve r, if forwarded |
//! | discard | zeros | recall all, then zeros | o's own: zeros at once; else recall | as owned |
//! | recall, move | done | recall all | recall all, o returns its bytes | recall o, which returns its bytes |
//!
//! A home *waits* for a page only after a forward, a recall, or a move; meanwhile requests for this page queue. After an
//! invalidation it does not wait: the requester counts the answers, and is the owner already. If the home's
//! own node has a copy it gives it up first, which costs no message.
//!
//! # What an agent does
//!
//! | | nothing | read or kept | exclusive | write-back or discard under way |
//! |---|---|---|---|---|
//! | fault | ask | write: ask, with the serial | – | wait |
//! | forward, read | note: not held | (holder) send bytes, note: shared | the same, and keep to read; or hand over whole | ignore |
//! | forward, write | note: not held | (holder) hand over, note: gave | hand over, note: gave | ignore |
//! | invalidate | answer | drop, answer | (never) | answer |
//! | recall | answer | keep or drop, answer | return bytes if newer, keep or drop, answer | ignore |
//! | recall to share | answer | (holder) return bytes, keep to read | return bytes if newer, keep to read | ignore |
//! | evict | – | older: write back, else drop | written: write back, else drop | – |
//!
//! # Why each race is right
//!
//! * **A forward or an invalidation overtakes a grant** that comes from a third node. It carries `seen`: all
//!   requests of the receiver up to that number were granted before it was sent. An agent whose request is among
//!   them waits for the grant, and for the hold, first. One whose request is not among them acts at once on what it has:
//!   its request will be served after. A home's number leaves out requests that wait in its queue. So a wait always
//!   points to a grant that is earlier in the home's order for the page, and there is no circle.
//! * **A write-back or discard crosses a forward or recall.** It is the answer: the home serves the request
//!   from the bytes that came, and the agent ignores what it is asked until it has its acknowledgement. What is sent to it after
//!   that comes after it, on the same link.
//! * **A write-back overtakes the note of the holder that handed the page over.** It comes from the node that the
//!   request was forwarded for. Its bytes are taken, and it is acknowledged when the note has come.
//! * **An old write-back comes when the page is another node's**: it is not taken, only acknowledged.
//! * **A clean copy was dropped in silence.** The owner says that it does not hold the page, and the home's bytes are
//!   current. Or it asks again itself.
//! * **An upgrade meets another writer.** The copy is invalidated while its own request waits. The request's serial is then too
//!   old, and the answer comes with bytes.
//! * **Records are merged.** A serial can only become higher than it was, sharers only more: bytes are then sent, or
//!   invalidations, that were not needed. The holder of a page is never asked for its serial.
//! * **An instruction needs two pages.** See `agent/hold.rs`: lower pages wait for higher ones, never the
//!   other way. A request that waits for any other page, because the directory is full, or for a
//!   discard, has nothing wait for it.
//! * **A home moves.** See `home/moving.rs`: all copies are recalled first, and the new home serves nobody before the old one
//!   has forgotten the page.
//!
//! # What is learned
//!
//! None of it changes who may do what when; it only has the same things asked for earlier, or elsewhere.
//!
//! * An agent asks ahead: see `agent/streams.rs`. Pages that come ahead are mapped when they are touched.
//! * With an [`Adaptation`], homes follow who uses their pages (`home/follow.rs`), and a home pushes what its own node
//!   writes to those who read it version after version (`home/push.rs`). Who reads learns when to drop its copies
//!   (`agent/consume.rs`), and says so by an [`Action::Hint`], the one thing that may come late or never.
//!   Both happen at an [`Event::Release`].
//! * What a node has to say to one other after all that has happened at a time can go as one message: requests for several pages
//!   then are forwarded, granted, invalidated and answered together, without the protocol knowing.
//!
//! # When the view changes
//!
//! Each member tells each that it has said all that it said in the old view. Until then old messages still bring
//! bytes ([`Message::Grant`], [`Message::WriteBack`]), but nothing is served. Then agents report what they have, homes rebuild their directories, and say
//! that they may be asked again. Pages that had moved go back to the homes of their slices: the node
//! that was home to one reports its bytes as a copy if they are current. If an owner lives that may have
//! dropped them in silence, it *claims* that they are: if nobody reports a copy, they are.
//!
//! A page of which nobody
//! reports a copy, and whose owner, holder or home died, is *lost*; so is one that was given to a node by one that
//! died before the bytes had come. A thread that touches it is told; a discard makes it zeros again. A write-back under
//! way to a home that died is lost too: nobody can tell whether the page was written again. And so is a claim, if the view
//! changes again before it was heard: nobody can tell whether the home that heard it has served the page.
//!
//! A slice may also leave a home that lives: one that is to leave. Nothing is lost by that: it reports the bytes that it had as copies of
//! its own, which it writes back when it [departs](Event::Depart), and says which pages are all zeros ([`Message::Blank`]).
//!
//! A packet of a later view is kept until this node has been told of that view.
//!
//! # Bounds
//!
//! * The directory has a fixed number of entries beside those of lost pages (see [`Directory`]); requests wait for room, at most one
//!   for each page and node. It can be longer for two reasons only: after a change of view, more was reported than fits, which then
//!   is recalled; or pages were given up of which those around them were not.
//! * Pages that have moved away from their slices' homes: [`HomeLimits::moved`]; moves beyond it are refused.
//! * Agents: one entry for each page that the node has or wants, 32 streams, 64 pages recently arrived, 1024 that were pushed.
//! * Homes: 1024 pages that their own nodes produce.
//! * A discard goes 64 pages at a time.
//!
//! # Beside pages
//!
//! [`locks`] has ranges of bytes locked across the cluster, in the records of [`ranges`]; [`parking`]
//! has threads wait for words of cluster memory.
// A mutant that is left out is the constant `false`, in conditions that are the code's own.
#![cfg_attr(
    not(feature = "mutants"),
    allow(clippy::nonminimal_bool, clippy::eq_op)
)]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod adaptation;
mod agent;
mod directory;
mod event;
mod home;
mod homes;
mod ids;
pub mod locks;
mod message;
pub mod mutants;
mod node;
mod outbox;
mod pages;
pub mod parking;
mod post;
pub mod ranges;
mod sharers;

pub use adaptation::Adaptation;
pub use agent::{Agent, AgentLimits};
pub use directory::{Directory, Pattern, Record, State};
pub use event::{Action, Dirt, Event, Failure, MoveRefusal, View, Violation};
pub use home::{Home, HomeLimits};
pub use homes::Slices;
pub use ids::{Access, Epoch, NodeId, PageIndex, RequestId, Rights, Serial, Time, Token};
pub use message::{
    Advice, Backing, Collector, Content, Grant, LONGEST_RUN, LONGEST_SPAN, Message, Outcome,
    Packet, Purpose, Reported, Used, Written,
};
pub use node::{Config, Node};
pub use sharers::{Grouping, SharerSet};

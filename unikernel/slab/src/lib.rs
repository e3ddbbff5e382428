//! The slab allocator: memory for many CPUs, each of which has a part of the heap that it
//! touches alone.
//!
//! It descends from DragonFly BSD's kernel allocator of 2003: zones of chunks of one size,
//! owned by a CPU, and a free on another CPU that does not take a lock. Three things are
//! otherwise. What is known of memory is kept apart from it. A CPU frees whatever it has
//! into magazines of its own (Bonwick and Adams, 2001), and sorts chunks home by the batch.
//! And the protocol by which they come home does not lose any.
//!
//! # What there is
//!
//! A [`Heap`] has a range of addresses, the *chunks*, and memory for its *bookkeeping*, both
//! from a [`PageSource`]. The chunks are cut into *units* of 64 KiB. A unit is free, or
//! belongs to a *run* of pages, or to a *zone*.
//!
//! * A zone is one unit or a few, cut into chunks of one of 72 [size classes](class), and
//!   belongs to one owner. Chunks start where the class's alignment wants it, and not in
//!   every zone at the same distance from a unit's start: they would compete for
//!   the same lines of caches (*colouring*).
//! * A run is whole units for one request above 16 KiB, of which only the pages that are needed
//!   are committed. It belongs to nobody.
//! * Free units are in lists by the number of those that follow each other.
//!
//! The bookkeeping is an array with an entry for each unit, found by arithmetic on the
//! address. For a zone it has a bit for each chunk that is free. Nothing is ever read or
//! written inside a chunk: neither links of free chunks, nor headers. A page of free
//! memory may be held by another node of a cluster, or be there for nobody yet; allocating it
//! does not fetch it. And what a program writes beyond its memory's end never is the
//! allocator's ruin. The bookkeeping takes one part in a hundred, and is committed as
//! units come into use.
//!
//! # Who owns what
//!
//! An *owner* is a number. A kernel has one for each CPU, a Linux program one for each
//! thread. [`Heap::claim`] gives the owner's [`Local`] to one holder: its zones, lists of those
//! of each class that have room, and, for each class, a *magazine*: an array of up to 64
//! chunks that are at hand. [`Local::allocate`] takes the chunk from the top of it, and
//! [`Local::deallocate`] puts one there, whoever's zone it is of. Each is fourteen
//! instructions, without a lock or an atomic operation; they touch the magazine, and nothing
//! else. What the CPU has just freed, and so has in its caches, it gets next.
//!
//! A magazine that is empty is filled to a half from the owner's zones: first chunks that
//! were freed, in the order of their addresses; then those that never were used; then chunks
//! that others freed; and at last from a new zone. One that is full sends the half of it home
//! that came first. Magazines begin small, and grow to 64 chunks or 64 KiB as they are found
//! empty or full; so an owner keeps at hand what suits what it does, and no more than that
//! bound for any class.
//!
//! # The three ways of a free
//!
//! 1. *Into the magazine.* That is all, most often.
//! 2. *Home, to a zone of the owner's*: its bit is set. A zone that had no free chunk and
//!    left the lists comes back to them; one whose chunks are all home is given up.
//! 3. *Home, to another owner's zone.* All chunks of the batch that belong to one word of the
//!    zone's second set of bits are set in it by one atomic operation: they are *published*.
//!    Another adds their number to the zone's tally, and *checks*: it says whether the owner
//!    had taken the zone out of its lists, as it does when it finds neither free chunks nor
//!    a tally. If so, the first to add puts the zone into the owner's inbox, and has
//!    the owner [told](Notify::owner) if that was empty. An owner that still lists the zone
//!    finds the chunks when it comes there.
//!
//! So a remote free costs two atomic operations a batch at best, and no more than two
//! for a chunk; and an owner is told once, not once for a chunk. DragonFly checked first and
//! published then: a zone that left the lists in between was stranded. Here leaving
//! and adding change the same word, and one of them sees the other. The tally also says
//! when a zone may be given up: bits may be seen before they are counted, but a zone is
//! empty when all its chunks have been *counted* home, and counting is the last that
//! another CPU does to it. `remote.rs` has the protocol, and `models.rs` what loom tries
//! in all orders, the old order and giving up too early among them, which both must fail.
//!
//! A run is freed to the free units, under their lock, by whoever frees it.
//!
//! # Giving back
//!
//! A zone whose chunks are all home is given up at once, unless it is the one that its
//! owner takes chunks from. Pages of free units stay committed up to a bound: 16 MiB, or a
//! quarter of all that is committed; what is beyond goes back to the source there and then,
//! and so do, after every 1024 times that units came back, those pages that were free all the
//! while, but for 2 MiB. The rest goes by [`Local::reclaim`], which a CPU calls when it has been
//! idle for a while: it sends all magazines home, gives up all empty zones, and decommits
//! all free units. An allocation that finds no memory does so by itself, asks
//! [`Notify::memory_short`] for what others have, and only then gives up.
//!
//! # Zeroed and grown memory
//!
//! A source says whether pages are zero when they are committed. Each zone knows how far
//! its chunks were never handed out, and each unit how many of its pages are committed:
//! so [`Local::allocate_zeroed`] finds large chunks and runs that need no zeroing, and zeroes
//! only those pages of a run that were used before. [`Local::reallocate`] keeps memory in
//! place when the class stays the same; runs grow into free units behind them, and shrink.
//!
//! # Wrong frees
//!
//! They are named by [`Notify::misuse`], and refused: nothing of the heap changes.
//!
//! * Of a run, always and at once: not in the heap, not a run, not its start, another size,
//!   free already.
//! * Of a chunk, when it goes home: not in the heap, not in a zone, the class of another
//!   size, not the start of a chunk, never handed out, free already. With debug assertions also
//!   at once, where it then also is found if it lies in the owner's magazine.
//!
//! What is not found without debug assertions: a chunk that was freed twice before either
//! went home may be handed out twice meanwhile. A chunk that was freed twice, and allocated
//! in between, is the second one's to lose, here as everywhere.
//!
//! # What a kernel provides
//!
//! * A [`PageSource`] for chunks and for bookkeeping: the second maps private memory. Neither
//!   may allocate from the heap that it serves. Chunks are committed and decommitted without
//!   any lock held; the bookkeeping is committed under the lock of the free units.
//! * [`Notify::owner`]: a message to the CPU that interrupts nothing, by which it calls
//!   [`Local::collect`].
//! * The owner's `Local`, which is one pointer, kept where only its CPU reaches it (or
//!   [as such](Local::into_raw), in the CPU's block), and used in critical sections only, so that nothing else on that CPU comes between; the lock of the free units is
//!   taken in them, for a few dozen instructions. Interrupt handlers may allocate if they are
//!   kept out of critical sections.
//! * A call of [`Local::reclaim`] where the CPU idles.
//!
//! Reading order: `source` (what is asked of the surroundings), [`class`], `unit` (what is
//! known of a unit), `part` (an owner's part), `local` (the ways in), `zone`, `remote`, `run`,
//! `range` (free units), `heap`, `place`, `linux`.

#![cfg_attr(not(any(test, loom, feature = "std")), no_std)]

#[cfg(not(loom))]
pub mod class;
#[cfg(not(loom))]
mod heap;
#[cfg(all(feature = "linux", not(loom)))]
mod linux;
#[cfg(not(loom))]
mod local;
#[cfg(not(loom))]
mod lock;
#[cfg(not(loom))]
pub mod magazine;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod part;
#[cfg(not(loom))]
mod place;
#[cfg(not(loom))]
mod range;
mod remote;
#[cfg(not(loom))]
mod run;
#[cfg(not(loom))]
mod source;
#[cfg(not(loom))]
mod statistics;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(not(loom))]
mod unit;
#[cfg(not(loom))]
mod zone;

#[cfg(not(loom))]
pub use self::{
    heap::{Error, Heap, bookkeeping_bytes},
    local::Local,
    place::Place,
    source::{Environment, Misuse, Notify, PAGE, PageSource},
    statistics::{ClassStatistics, Statistics},
    unit::UNIT,
};

#[cfg(all(feature = "linux", not(loom)))]
pub use self::linux::Slab;

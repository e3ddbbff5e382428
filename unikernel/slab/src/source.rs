//! What the allocator asks of its surroundings.

use core::alloc::Layout;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// A range of addresses whose pages come and go. Ranges are in bytes from its start, and
/// whole pages.
///
/// # Safety
/// The addresses belong to the allocator alone, do not change, and are aligned to
/// [`UNIT`](crate::UNIT). Pages that were committed and not decommitted since can be read
/// and written, and keep what is written.
pub unsafe trait PageSource {
    /// Whether pages that are committed for the first time, or after they were
    /// decommitted, are zero.
    const ZEROED: bool;

    /// Where it starts.
    fn base(&self) -> NonNull<u8>;

    /// How many bytes it has.
    fn length(&self) -> usize;

    /// Has these pages be there. Those that are already there are as they were. Whether it
    /// succeeded; if not, some may be there, and chunks' pages are decommitted then. Called
    /// by any owner; for the bookkeeping also with the lock of the free units held.
    fn commit(&self, range: Range<usize>) -> bool;

    /// Whether the caller may [decommit](PageSource::decommit) where it is now. If not, free
    /// pages stay committed until one comes who may.
    fn may_decommit(&self) -> bool {
        true
    }

    /// Gives these pages back, those that are there. Called by any owner, never with a
    /// lock held; where [`PageSource::may_decommit`] says no, only for pages whose
    /// [commit](PageSource::commit) has just failed.
    fn decommit(&self, range: Range<usize>);
}

/// Who is told what.
pub trait Notify {
    /// Memory of `owner` was freed elsewhere that it would not come across by itself. It
    /// should call [`Local::collect`](crate::Local::collect), at its leisure: nothing
    /// depends on it but memory. Called by the freeing owner, with no lock held.
    fn owner(&self, owner: usize);

    /// Memory is short, and the calling owner has given up all it could. Asks other
    /// owners to reclaim, if that can be done from here; whether it makes sense to try again.
    fn memory_short(&self) -> bool {
        false
    }

    /// Whether an address that is not in this heap is in another one like it, on another node.
    fn is_elsewhere(&self, address: usize) -> bool {
        let _ = address;
        false
    }

    /// Memory was freed that [is elsewhere](Notify::is_elsewhere): has it freed there, with a layout
    /// of the same class. Called by the freeing owner, with no lock held.
    fn free_elsewhere(&self, address: usize, layout: Layout) {
        let _ = (address, layout);
    }

    /// Memory was freed that must not be. With debug assertions this panics; else the
    /// free is refused, and counted, and that is all.
    fn misuse(&self, misuse: Misuse, address: usize) {
        if cfg!(debug_assertions) {
            panic!("free of {address:#x}: {misuse}");
        }
    }
}

/// All that a heap needs.
pub trait Environment: Notify {
    /// Where memory comes from. Nothing is ever read or written there by the
    /// allocator, except for what is to be zeroed or moved.
    type Chunks: PageSource;
    /// Where the bookkeeping is.
    type Bookkeeping: PageSource;

    /// Where memory comes from.
    fn chunks(&self) -> &Self::Chunks;

    /// Where the bookkeeping is.
    fn bookkeeping(&self) -> &Self::Bookkeeping;
}

/// What is wrong with a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// It is free already.
    Double,
    /// No memory of this heap, or none that is handed out.
    Wild,
    /// Memory of another size than said.
    WrongSize,
    /// Within memory that was handed out, and not at its start.
    NotTheStart,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Double => "double free: it is free already",
            Self::Wild => "wild free: found no allocated memory of this heap there",
            Self::WrongSize => "found memory of another size than the layout's",
            Self::NotTheStart => "found memory that starts elsewhere",
        })
    }
}

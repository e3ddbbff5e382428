//! The frames of cluster memory on this node, and what the page tables say of them: the
//! environment of [`darner_coherence::Node`].
//!
//! A page has a frame while this node has its bytes, mapped or not. Only the protocol thread
//! changes any of this; threads of the program read the page tables.

use alloc::collections::BTreeMap;
use core::ptr;
use core::slice;

use darner_coherence::{Dirt, PageIndex, Rights};

use crate::arch::tlb;
use crate::layout::PAGE;
use crate::memory::{frames, paging};

/// Bytes of a page.
const BYTES: usize = PAGE as usize;

/// A frame, by its physical address.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// From the allocator of frames.
    Allocated(u64),
    /// Of the loaded image, which is never given back.
    Loaded(u64),
}

impl Frame {
    fn physical(self) -> u64 {
        match self {
            Self::Allocated(physical) | Self::Loaded(physical) => physical,
        }
    }
}

/// There is no frame left.
#[derive(Clone, Copy, Debug)]
pub struct NoFrame;

/// The frames of all pages that this node has bytes of.
#[derive(Default)]
pub struct Frames {
    frames: BTreeMap<PageIndex, Frame>,
    /// Loaded frames of pages that the node has no bytes of.
    spare: BTreeMap<PageIndex, u64>,
}

impl Frames {
    /// Takes the page at `address`, which boot has mapped, over: it keeps its frame and loses
    /// all rights. Before the program runs.
    pub fn adopt(&mut self, address: u64) {
        if let Some(frame) = paging::unmap_page(address) {
            self.frames
                .insert(PageIndex(address / PAGE), Frame::Loaded(frame));
        }
    }

    /// The bytes of a page. None: it has no frame.
    pub fn bytes(&self, page: PageIndex) -> Option<&[u8; BYTES]> {
        let physical = self.frames.get(&page)?.physical();
        // SAFETY: the frame is this page's, in the direct map. The program has no right to write
        // to it now, or its threads do so while this is read, which only sends bytes that it
        // is about to overwrite: the protocol takes rights away before it sends.
        Some(unsafe { &*(paging::direct(physical) as *const [u8; BYTES]) })
    }

    /// Puts bytes into the page's frame, which is made if there is none.
    pub fn store(&mut self, page: PageIndex, bytes: &[u8]) -> Result<(), NoFrame> {
        let physical = self.frame(page)?;
        let into = paging::direct(physical) as *mut u8;
        // SAFETY: the frame is this page's, and no thread of the program has rights to it: bytes
        // come before rights do.
        let into = unsafe { slice::from_raw_parts_mut(into, BYTES) };
        into.copy_from_slice(bytes);
        Ok(())
    }

    /// As [`Self::store`], zeros.
    pub fn store_zeros(&mut self, page: PageIndex) -> Result<(), NoFrame> {
        zero(self.frame(page)?);
        Ok(())
    }

    /// Fills the page's frame with zeros, if it has one.
    pub fn zero(&mut self, page: PageIndex) {
        if let Some(frame) = self.frames.get(&page) {
            zero(frame.physical());
        }
    }

    /// Lets the program have rights. Without a frame one of zeros is made.
    pub fn map(&mut self, page: PageIndex, rights: Rights) -> Result<(), NoFrame> {
        if !self.frames.contains_key(&page) {
            self.store_zeros(page)?;
        }
        let physical = self.frame(page)?;
        let rights = page_rights(rights);
        let address = page.0 * PAGE;
        if paging::protect_page(address, rights).is_ok() {
            // A CPU that knows less than the tables say faults, and then looks again.
            return Ok(());
        }
        paging::map_page(address, physical, rights).map_err(|_| NoFrame)
    }

    /// Takes rights from the program, on all CPUs. Whether it had written.
    pub fn protect(&mut self, page: PageIndex, rights: Rights) -> Dirt {
        let address = page.0 * PAGE;
        let before = paging::restrict(address, page_rights(rights));
        tlb::shootdown(address, 1);
        // A CPU that still knew the old rights may have written until it was told.
        if before || paging::take_dirty(address) {
            Dirt::Dirty
        } else {
            Dirt::Clean
        }
    }

    /// The page's frame is not needed any more.
    pub fn free(&mut self, page: PageIndex) {
        match self.frames.remove(&page) {
            Some(Frame::Allocated(physical)) => frames::free_page(physical),
            Some(Frame::Loaded(physical)) => {
                self.spare.insert(page, physical);
            }
            None => {}
        }
    }

    /// The pages that have frames.
    pub fn pages(&self) -> impl Iterator<Item = PageIndex> {
        self.frames.keys().copied()
    }

    /// The frame of a page, made if there is none; its content is anything.
    fn frame(&mut self, page: PageIndex) -> Result<u64, NoFrame> {
        if let Some(frame) = self.frames.get(&page) {
            return Ok(frame.physical());
        }
        let frame = match self.spare.remove(&page) {
            Some(physical) => Frame::Loaded(physical),
            None => Frame::Allocated(frames::allocate_page().ok_or(NoFrame)?),
        };
        self.frames.insert(page, frame);
        Ok(frame.physical())
    }
}

fn zero(physical: u64) {
    // SAFETY: the frame is a page's of cluster memory, in the direct map, that no thread has
    // rights to at this time.
    unsafe { ptr::write_bytes(paging::direct(physical) as *mut u8, 0, BYTES) };
}

fn page_rights(rights: Rights) -> paging::Rights {
    match rights {
        Rights::None => paging::Rights::None,
        Rights::Read => paging::Rights::Const,
        Rights::Write => paging::Rights::Data,
    }
}

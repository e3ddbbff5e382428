//! Page tables of the node: one set, shared by all its CPUs.
//!
//! All changes go through one lock. Rights are one of [`Rights`]: nothing is
//! ever writable and executable. Taking rights away needs a TLB shootdown, which
//! the callers do once they hold no lock.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::control::Cr3;
use x86_64::structures::paging::mapper::{CleanUp, UnmapError};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, Mapper, OffsetPageTable, Page, PageSize, PageTable,
    PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::frames;
use crate::layout::{DEVICES, DEVICES_END, DIRECT_MAP, LARGE_PAGE, PAGE, align_down, align_up};
use crate::sync::Lock;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing: the page stays reserved and faults.
    None,
    /// Read only.
    Const,
    /// Read and write.
    Data,
    /// Read and execute.
    Text,
    /// Device registers: read and write, uncached.
    Device,
}

impl Rights {
    /// The page-table flags that give these rights.
    pub fn flags(self) -> PageTableFlags {
        let present = PageTableFlags::PRESENT;
        match self {
            Self::None => PageTableFlags::empty(),
            Self::Const => present | PageTableFlags::NO_EXECUTE,
            Self::Data => present | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE,
            Self::Text => present,
            Self::Device => {
                present
                    | PageTableFlags::WRITABLE
                    | PageTableFlags::NO_EXECUTE
                    | PageTableFlags::NO_CACHE
                    | PageTableFlags::WRITE_THROUGH
            }
        }
    }
}

/// Flags of the tables above the last level: rights are decided there alone.
pub const TABLE_FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

/// A mapping could not be made: no memory for a table, or one is there already.
#[derive(Debug)]
pub struct MapError;

/// Physical addresses below this are in the direct map.
static DIRECT_END: AtomicU64 = AtomicU64::new(0);

struct Tables(Option<OffsetPageTable<'static>>);

// SAFETY: the tables are only reached through the lock around this.
unsafe impl Send for Tables {}

static TABLES: Lock<Tables> = Lock::new(Tables(None));
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(DEVICES);

struct Frames;

// SAFETY: it returns frames that nobody else uses.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = frames::allocate_page()?;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

impl FrameDeallocator<Size4KiB> for Frames {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        frames::free_page(frame.start_address().as_u64());
    }
}

/// The virtual address of `physical` in the direct map.
pub const fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// Takes over the tables that boot built and loaded.
///
/// # Safety
/// CR3 names them, and the direct map in them covers all RAM below `direct_end`.
pub unsafe fn init(direct_end: u64) {
    DIRECT_END.store(direct_end, Ordering::Relaxed);
    let (root, _) = Cr3::read();
    let root = direct(root.start_address().as_u64()) as *mut PageTable;
    // SAFETY: the tables are in RAM, so in the direct map; they are never freed.
    let tables = unsafe { OffsetPageTable::new(&mut *root, VirtAddr::new(DIRECT_MAP)) };
    TABLES.lock().0 = Some(tables);
}

fn with<T>(change: impl FnOnce(&mut OffsetPageTable<'static>) -> T) -> T {
    let mut tables = TABLES.lock();
    change(
        tables
            .0
            .as_mut()
            .expect("paging is initialised before memory is used"),
    )
}

fn page_at<S: PageSize>(address: u64) -> Page<S> {
    Page::containing_address(VirtAddr::new_truncate(address))
}

/// Maps the page at `address` to `frame`. No TLB work is needed: the page was not
/// mapped before.
pub fn map_page(address: u64, frame: u64, rights: Rights) -> Result<(), MapError> {
    let frame = PhysFrame::<Size4KiB>::containing_address(PhysAddr::new(frame));
    with(|tables| {
        // SAFETY: callers pass frames they own and addresses in their own ranges.
        unsafe {
            tables.map_to_with_table_flags(
                page_at(address),
                frame,
                rights.flags(),
                TABLE_FLAGS,
                &mut Frames,
            )
        }
        .map(|flush| flush.ignore())
        .map_err(|_| MapError)
    })
}

/// Maps pages from `address` on to the frames from `frame` on, `bytes` of them, all or
/// none. As for [`map_page`].
pub fn map_pages(address: u64, frame: u64, bytes: u64, rights: Rights) -> Result<(), MapError> {
    with(|tables| {
        for offset in (0..bytes).step_by(PAGE as usize) {
            let to = PhysFrame::<Size4KiB>::containing_address(PhysAddr::new(frame + offset));
            // SAFETY: as for `map_page`.
            let mapped = unsafe {
                tables.map_to_with_table_flags(
                    page_at(address + offset),
                    to,
                    rights.flags(),
                    TABLE_FLAGS,
                    &mut Frames,
                )
            };
            match mapped {
                Ok(flush) => flush.ignore(),
                Err(_) => {
                    for done in (0..offset).step_by(PAGE as usize) {
                        if let Ok((_, flush)) = tables.unmap(page_at::<Size4KiB>(address + done)) {
                            flush.flush();
                        }
                    }
                    return Err(MapError);
                }
            }
        }
        Ok(())
    })
}

/// Maps the 2 MiB at `address` to the 2 MiB frame `frame`.
pub fn map_large(address: u64, frame: u64, rights: Rights) -> Result<(), MapError> {
    let frame = PhysFrame::<Size2MiB>::containing_address(PhysAddr::new(frame));
    with(|tables| {
        // SAFETY: as for `map_page`.
        unsafe {
            tables.map_to_with_table_flags(
                page_at(address),
                frame,
                rights.flags(),
                TABLE_FLAGS,
                &mut Frames,
            )
        }
        .map(|flush| flush.ignore())
        .map_err(|_| MapError)
    })
}

/// Removes the 4 KiB page at `address` and returns its frame. The caller sees to
/// the other CPUs' TLBs before it reuses the frame.
pub fn unmap_page(address: u64) -> Option<u64> {
    let (frame, flush) = with(|tables| tables.unmap(page_at::<Size4KiB>(address))).ok()?;
    flush.flush();
    Some(frame.start_address().as_u64())
}

/// Removes the page at `at`, of 2 MiB where one begins that ends by `end`, else of 4 KiB, even
/// of a large one. Gives where it was and how many bytes it has. `None`: there is none,
/// or no memory for the tables of what is left of a large one. As for [`unmap_page`].
pub fn unmap_first(at: u64, end: u64) -> Option<(u64, u64)> {
    with(|tables| match tables.unmap(page_at::<Size4KiB>(at)) {
        Ok((frame, flush)) => {
            flush.flush();
            Some((frame.start_address().as_u64(), PAGE))
        }
        Err(UnmapError::ParentEntryHugePage) => {
            if at.is_multiple_of(LARGE_PAGE) && end - at >= LARGE_PAGE {
                let (frame, flush) = tables.unmap(page_at::<Size2MiB>(at)).ok()?;
                flush.flush();
                return Some((frame.start_address().as_u64(), LARGE_PAGE));
            }
            split_large(tables, at)?;
            let (frame, flush) = tables.unmap(page_at::<Size4KiB>(at)).ok()?;
            flush.flush();
            Some((frame.start_address().as_u64(), PAGE))
        }
        Err(_) => None,
    })
}

/// Maps what one page of 2 MiB maps around `at` by pages of 4 KiB. CPUs may go on with what
/// they know of the large one: it says the same. `None`: no memory for the table.
fn split_large(tables: &mut OffsetPageTable<'static>, at: u64) -> Option<()> {
    let at = VirtAddr::new_truncate(at);
    // SAFETY: tables are in RAM, so in the direct map, and under the lock that is held; the
    // page is known to be a large one, so there are tables down to the third level.
    let entry = unsafe {
        let table = |entry: &PageTableEntry| direct(entry.addr().as_u64()) as *mut PageTable;
        let third = &*table(&tables.level_4_table()[at.p4_index()]);
        let second = &mut *table(&third[at.p3_index()]);
        &mut second[at.p2_index()]
    };
    let flags = entry.flags().difference(PageTableFlags::HUGE_PAGE);
    let first = entry.addr();
    let frame = frames::allocate_page()?;
    // SAFETY: the frame is new, and in the direct map. All its bytes are written before
    // they are read.
    let small = unsafe { &mut *(direct(frame) as *mut PageTable) };
    for (address, entry) in (first.as_u64()..)
        .step_by(PAGE as usize)
        .zip(small.iter_mut())
    {
        entry.set_addr(PhysAddr::new(address), flags);
    }
    entry.set_addr(PhysAddr::new(frame), TABLE_FLAGS);
    Some(())
}

/// Removes and frees what was just mapped in `start..end` and that no CPU has
/// touched yet.
pub fn unmap_fresh(start: u64, end: u64) {
    let mut at = start;
    while at < end {
        at += match unmap_first(at, end) {
            Some((frame, PAGE)) => {
                frames::free_page(frame);
                PAGE
            }
            Some((frame, bytes)) => {
                frames::free_range(frame, bytes);
                bytes
            }
            None => PAGE,
        };
    }
}

/// Changes the rights of the 4 KiB page at `address`, which is mapped. A page
/// without rights keeps its frame.
pub fn protect_page(address: u64, rights: Rights) -> Result<(), MapError> {
    with(|tables| {
        let page = page_at::<Size4KiB>(address);
        // SAFETY: callers change pages of their own regions only.
        match unsafe { tables.update_flags(page, rights.flags()) } {
            Ok(flush) => {
                flush.flush();
                Ok(())
            }
            Err(_) => Err(MapError),
        }
    })
}

/// The entry of the 4 KiB page at `at`, if there are tables down to it.
fn entry_of(tables: &OffsetPageTable<'static>, at: u64) -> Option<&'static AtomicU64> {
    let at = VirtAddr::new_truncate(at);
    let mut table: *const PageTable = tables.level_4_table();
    for index in [at.p4_index(), at.p3_index(), at.p2_index()] {
        // SAFETY: tables are in RAM, so in the direct map, and under the lock that is held.
        let entry = unsafe { &(&*table)[index] };
        let flags = entry.flags();
        if !flags.contains(PageTableFlags::PRESENT) || flags.contains(PageTableFlags::HUGE_PAGE) {
            return None;
        }
        table = direct(entry.addr().as_u64()) as *const PageTable;
    }
    let entry = table.cast::<u64>().wrapping_add(at.p1_index().into());
    // SAFETY: as above. An entry is a word, which CPUs, too, change atomically.
    Some(unsafe { AtomicU64::from_ptr(entry.cast_mut()) })
}

/// Takes rights from the 4 KiB page at `address`: to [`Rights::Const`], or [`Rights::None`],
/// which also takes the frame out of the tables. Whether it was written since it was mapped, as
/// far as that is known. No CPU is told: the caller shoots down, and then asks
/// [`take_dirty`].
pub fn restrict(address: u64, rights: Rights) -> bool {
    with(|tables| {
        let Some(entry) = entry_of(tables, address) else {
            return false;
        };
        let before = match rights {
            Rights::None => entry.swap(0, Ordering::SeqCst),
            _ => entry.fetch_and(
                !(PageTableFlags::WRITABLE | PageTableFlags::DIRTY).bits(),
                Ordering::SeqCst,
            ),
        };
        before & PageTableFlags::DIRTY.bits() != 0
    })
}

/// Whether the 4 KiB page at `address` was written since it was last asked, or mapped.
pub fn take_dirty(address: u64) -> bool {
    let dirty = PageTableFlags::DIRTY.bits();
    with(|tables| {
        entry_of(tables, address).is_some_and(|entry| {
            entry.load(Ordering::SeqCst) & dirty != 0
                && entry.fetch_and(!dirty, Ordering::SeqCst) & dirty != 0
        })
    })
}

/// Whether the 4 KiB page at `address` was written since it was last asked by [`take_dirty`], or mapped.
pub fn is_dirty(address: u64) -> bool {
    with(|tables| {
        entry_of(tables, address)
            .is_some_and(|entry| entry.load(Ordering::Relaxed) & PageTableFlags::DIRTY.bits() != 0)
    })
}

/// Whether the page tables let the 4 KiB page at `address` be accessed. Thread context.
pub fn allows(address: u64, write: bool) -> bool {
    let wanted = if write {
        PageTableFlags::PRESENT | PageTableFlags::WRITABLE
    } else {
        PageTableFlags::PRESENT
    };
    with(|tables| {
        entry_of(tables, address).is_some_and(|entry| {
            PageTableFlags::from_bits_truncate(entry.load(Ordering::SeqCst)).contains(wanted)
        })
    })
}

/// Frees the tables of `start..end` that have become empty.
pub fn clean_up(start: u64, end: u64) {
    with(|tables| {
        let pages = Page::range_inclusive(page_at::<Size4KiB>(start), page_at::<Size4KiB>(end - 1));
        // SAFETY: only tables without any entry are freed, and no CPU uses them
        // once the shootdown of the unmapped pages is over.
        unsafe { tables.clean_up_addr_range(pages, &mut Frames) };
    });
}

/// Maps `bytes` of device registers at `physical` and returns where. Never
/// unmapped; used at boot.
///
/// # Panics
/// When there is no memory for the page tables, which boot cannot go on without.
pub fn map_device(physical: u64, bytes: u64) -> u64 {
    map_window(physical, bytes, Rights::Device)
}

/// Where `bytes` at `physical` can be read: in the direct map, or in a window made
/// for them (firmware tables may lie outside of RAM).
pub fn map_table(physical: u64, bytes: u64) -> u64 {
    if physical.saturating_add(bytes) <= DIRECT_END.load(Ordering::Relaxed)
        && is_mapped(direct(physical))
    {
        return direct(physical);
    }
    map_window(physical, bytes, Rights::Const)
}

fn map_window(physical: u64, bytes: u64, rights: Rights) -> u64 {
    let first = align_down(physical, PAGE);
    let length = align_up(physical + bytes, PAGE) - first;
    let window = NEXT_DEVICE.fetch_add(length, Ordering::Relaxed);
    assert!(window + length <= DEVICES_END, "the device window is full");
    for offset in (0..length).step_by(PAGE as usize) {
        map_page(window + offset, first + offset, rights)
            .expect("memory for the tables of a device window");
    }
    window + (physical - first)
}

/// Maps the page at physical `address` (below 1 MiB) at the same virtual address,
/// executable, for CPUs that come up in real mode.
pub fn map_low_page(address: u64) {
    map_page(address, address, Rights::Text).expect("memory for the tables of the trampoline");
}

/// Undoes [`map_low_page`], so that null pointers fault again.
pub fn unmap_low_page(address: u64) {
    unmap_page(address);
    clean_up(0, 1 << 20);
}

/// Whether `address` can be read. Takes no lock: for reports from exceptions.
pub fn is_mapped(address: u64) -> bool {
    const ENTRIES: u64 = 512;
    let sign = address >> 47;
    if sign != 0 && sign != 0x1_ffff {
        return false;
    }
    let (root, _) = Cr3::read();
    let mut table = root.start_address().as_u64();
    for level in (0..4).rev() {
        let index = (address >> (12 + 9 * level)) % ENTRIES;
        // SAFETY: page tables are in RAM, so in the direct map; an entry is read
        // as a whole.
        let entry = unsafe { ((direct(table) as *const u64).add(index as usize)).read_volatile() };
        let flags = PageTableFlags::from_bits_truncate(entry);
        if !flags.contains(PageTableFlags::PRESENT) {
            return false;
        }
        if flags.contains(PageTableFlags::HUGE_PAGE) && level > 0 {
            return true;
        }
        table = entry & 0x000f_ffff_ffff_f000;
    }
    true
}

//! Mapping the RAM above the first 4 GiB, one to one like the rest.

use core::ops::Range;

use darner_loader::tables::MAPPED_AT_ENTRY;
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, PageTable, PageTableFlags, PhysFrame, Size1GiB,
    Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

const FLAGS: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

/// The pages set aside for tables.
struct Tables(Range<u64>);

// SAFETY: each page of the range is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Tables {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let start = self.0.next()?;
        self.0.start = start + 4096;
        Some(PhysFrame::containing_address(PhysAddr::new(start)))
    }
}

/// Maps everything up to `end`, with tables from a range that is large enough.
///
/// # Safety
/// The range is reserved for the tables, mapped, and page-aligned; the entry
/// code's tables are in use and map nothing above 4 GiB.
pub unsafe fn extend(end: u64, gib_pages: bool, tables: Range<u64>) {
    let mut tables = Tables(tables);
    let (root, _) = Cr3::read();
    // SAFETY: the entry code's tables are mapped one to one, and only this function
    // refers to them while it runs.
    let mut mapper = unsafe {
        let root: *mut PageTable =
            core::ptr::with_exposed_provenance_mut(root.start_address().as_u64() as usize);
        OffsetPageTable::new(&mut *root, VirtAddr::zero())
    };
    let step = if gib_pages { 1 << 30 } else { 2 << 20 };
    for start in (MAPPED_AT_ENTRY..end).step_by(step) {
        let start = PhysAddr::new(start);
        // SAFETY: mapping RAM one to one gives nobody a second reference to it.
        // Nothing was mapped there, so there is nothing to flush.
        let mapped = unsafe {
            if gib_pages {
                let frame = PhysFrame::<Size1GiB>::containing_address(start);
                mapper
                    .identity_map(frame, FLAGS, &mut tables)
                    .map(|flush| flush.ignore())
                    .is_ok()
            } else {
                let frame = PhysFrame::<Size2MiB>::containing_address(start);
                mapper
                    .identity_map(frame, FLAGS, &mut tables)
                    .map(|flush| flush.ignore())
                    .is_ok()
            }
        };
        assert!(mapped, "the tables for {end:#x} bytes were counted wrong");
    }
}

//! The node's first page tables: its image and the direct map.

use x86_64::registers::control::Cr3;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PhysFrame, Size1GiB,
    Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use super::image::Image;
use super::ranges::{Bump, Ranges};
use crate::layout::{DIRECT_MAP, IMAGE_BASE, LARGE_PAGE, PAGE, align_down, align_up};
use crate::memory::paging::{Rights, TABLE_FLAGS};
use crate::panic;

const NO_MEMORY: &str = "not enough memory for the page tables";
const GIB: u64 = 1 << 30;

/// Builds them: the image at [`IMAGE_BASE`], and all of `ram` in the direct map.
/// Entry 0 is the loader's, which maps the code that runs until the switch.
/// Returns the root.
pub(super) fn build(image: &Image, ram: &Ranges, bump: &mut Bump) -> PhysFrame {
    let Some(root) = bump.allocate_frame() else {
        panic::early(NO_MEMORY)
    };
    let (old_root, _) = Cr3::read();
    // SAFETY: both are page tables in identity-mapped memory; the new one is ours.
    let table = unsafe {
        let table = &mut *(root.start_address().as_u64() as *mut PageTable);
        let old = &*(old_root.start_address().as_u64() as *const PageTable);
        table[0] = old[0].clone();
        table
    };
    let gib_pages = raw_cpuid::CpuId::new()
        .get_extended_processor_and_feature_identifiers()
        .is_some_and(|features| features.has_1gib_pages());
    let mut new = Tables {
        // SAFETY: page tables are found at their physical addresses here.
        tables: unsafe { OffsetPageTable::new(table, VirtAddr::new(0)) },
        bump,
        gib_pages,
    };
    for offset in (0..align_up(image.bytes(), PAGE)).step_by(PAGE as usize) {
        if let Some(rights) = image.rights(offset) {
            new.map::<Size4KiB>(IMAGE_BASE + offset, image.base + offset, rights);
        }
    }
    // Below 4 GiB everything up to the end of RAM, firmware tables included; above,
    // only what is RAM.
    let low_end = align_up(ram.end_below(4 * GIB), LARGE_PAGE);
    new.direct(0, low_end);
    let mut mapped = low_end;
    for &(start, end) in ram.as_slice() {
        // The map has the ranges by address; two may share a large page.
        let (start, end) = (align_down(start, LARGE_PAGE), align_up(end, LARGE_PAGE));
        new.direct(start.max(mapped), end);
        mapped = mapped.max(end);
    }
    root
}

/// Page tables in the making.
struct Tables<'a> {
    tables: OffsetPageTable<'a>,
    bump: &'a mut Bump,
    gib_pages: bool,
}

impl Tables<'_> {
    /// Maps physical `start..end`, whole large pages, into the direct map.
    fn direct(&mut self, start: u64, end: u64) {
        let mut at = start;
        while at < end {
            let virt = DIRECT_MAP + at;
            at += if self.gib_pages && at.is_multiple_of(GIB) && end - at >= GIB {
                self.map::<Size1GiB>(virt, at, Rights::Data)
            } else {
                self.map::<Size2MiB>(virt, at, Rights::Data)
            };
        }
    }

    /// Maps one page; returns its size.
    fn map<S: PageSize>(&mut self, virt: u64, phys: u64, rights: Rights) -> u64
    where
        for<'a> OffsetPageTable<'a>: Mapper<S>,
    {
        let page = Page::<S>::containing_address(VirtAddr::new(virt));
        let frame = PhysFrame::containing_address(PhysAddr::new(phys));
        // SAFETY: the image and the direct map are new addresses in a new table;
        // aliasing between them is the point of a direct map.
        let done = unsafe {
            self.tables
                .map_to_with_table_flags(page, frame, rights.flags(), TABLE_FLAGS, self.bump)
        };
        if done.is_err() {
            panic::early(NO_MEMORY);
        }
        S::SIZE
    }
}

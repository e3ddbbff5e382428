//! From the loader to the first thread.
//!
//! 1. [`_start`] comes in by `hermit-entry`'s protocol: identity-mapped memory,
//!    the image at an arbitrary physical address, interrupts off.
//! 2. [`early`] runs there. It builds the node's own page tables (image, direct
//!    map), applies the image's relocations again for [`IMAGE_BASE`], switches and
//!    jumps. It uses no heap and no pointer that a relocation made.
//! 3. [`kernel_main`] runs at the final address: memory, descriptor tables, time,
//!    the other CPUs, files, and the thread that enters std.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use fdt::Fdt;
use hermit_entry::boot_info::{BootInfo, RawBootInfo};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PhysFrame, Size1GiB, Size2MiB,
    Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::arch::apic::{self, LocalInterrupts};
use crate::arch::percpu::PerCpu;
use crate::arch::{cpu, smp, timer};
use crate::control::{KERNEL_TSC, LOADER_TSC};
use crate::layout::{DIRECT_MAP, IMAGE_BASE, LARGE_PAGE, PAGE, align_down, align_up};
use crate::memory::paging::{self, Rights, TABLE_FLAGS};
use crate::memory::{frames, stacks};
use crate::{abi, console, logging, panic, params, platform, sched, time};

hermit_entry::define_abi_tag!();
hermit_entry::define_entry_version!();

/// The stack of steps 1 to 3.
const BOOT_STACK_BYTES: usize = 64 << 10;

#[repr(C, align(4096))]
struct BootStack([u8; BOOT_STACK_BYTES]);

static mut BOOT_STACK: BootStack = BootStack([0; BOOT_STACK_BYTES]);

unsafe extern "C" {
    /// The image's first byte: its ELF header (from the linker).
    #[link_name = "__ehdr_start"]
    static IMAGE: u8;
    #[link_name = "__start_ktext"]
    static KTEXT_START: u8;
    #[link_name = "__stop_ktext"]
    static KTEXT_END: u8;
}

/// The entry point: `rdi` is the boot information, `esi` the CPU's number.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _start(boot_info: &'static RawBootInfo, cpu_id: u32) -> ! {
    naked_asm!(
        "cli",
        "cld",
        "rdtsc",
        "shl rdx, 32",
        "or rdx, rax",
        "lea rsp, [rip + {stack} + {bytes}]",
        "xor ebp, ebp",
        "call {early}",
        "ud2",
        stack = sym BOOT_STACK,
        bytes = const BOOT_STACK_BYTES,
        early = sym early,
    )
}

/// What step 2 hands to step 3; all addresses physical.
struct Handover {
    fdt: u64,
    load_base: u64,
    image_bytes: u64,
    tls: Option<hermit_entry::boot_info::TlsInfo>,
    direct_end: u64,
    ranges: Ranges,
    bump: Bump,
}

static HANDOVER: spin::Once<Handover> = spin::Once::new();
static LINK_END: AtomicU64 = AtomicU64::new(0);
static TEXT_START: AtomicU64 = AtomicU64::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);

/// Ranges of physical memory, at most 64.
#[derive(Clone, Copy)]
struct Ranges {
    items: [(u64, u64); 64],
    len: usize,
}

impl Ranges {
    const fn new() -> Self {
        Self {
            items: [(0, 0); 64],
            len: 0,
        }
    }

    fn as_slice(&self) -> &[(u64, u64)] {
        &self.items[..self.len]
    }

    fn push(&mut self, start: u64, end: u64) {
        if start < end && self.len < self.items.len() {
            self.items[self.len] = (start, end);
            self.len += 1;
        }
    }

    /// Takes `start..end` out of every range.
    fn remove(&mut self, start: u64, end: u64) {
        let old = *self;
        self.len = 0;
        for &(from, to) in old.as_slice() {
            self.push(from, to.min(start));
            self.push(from.max(end), to);
        }
    }
}

/// Takes pages from the start of one range: the frames of the first page tables.
struct Bump {
    start: u64,
    next: u64,
    end: u64,
}

// SAFETY: every frame is handed out once, from a range nothing else uses.
unsafe impl FrameAllocator<Size4KiB> for Bump {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = self.next;
        if frame + PAGE > self.end {
            return None;
        }
        self.next += PAGE;
        // SAFETY: the frame is free RAM, identity-mapped by the loader.
        unsafe { core::ptr::write_bytes(frame as *mut u8, 0, PAGE as usize) };
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

/// The image as its program headers describe it, relative to its first byte.
struct Image {
    base: u64,
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_bytes: u64,
    bytes: u64,
    align: u64,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const R_X86_64_RELATIVE: u32 = 8;

impl Image {
    fn headers(&self) -> &[ProgramHeader] {
        // SAFETY: the loader has loaded a valid ELF file whose first segment holds
        // the file header and the program headers (e_phoff at 32, e_phnum at 56).
        unsafe {
            let offset = (self.base as *const u8).add(32).cast::<u64>().read();
            let count = (self.base as *const u8).add(56).cast::<u16>().read();
            core::slice::from_raw_parts(
                (self.base + offset) as *const ProgramHeader,
                usize::from(count),
            )
        }
    }

    fn find(&self, kind: u32) -> Option<&ProgramHeader> {
        self.headers().iter().find(|header| header.kind == kind)
    }

    fn bytes(&self) -> u64 {
        let end = |header: &ProgramHeader| header.address + header.bytes;
        self.headers()
            .iter()
            .filter(|header| header.kind == PT_LOAD)
            .map(end)
            .max()
            .unwrap_or(0)
    }

    /// What may be done with the page at `offset`. The end of a relocation-only
    /// part is a page boundary by the linker's rule.
    fn rights(&self, offset: u64) -> Option<Rights> {
        let covers = |header: &&ProgramHeader| {
            align_down(header.address, PAGE) <= offset
                && offset < align_up(header.address + header.bytes, PAGE)
        };
        let loads = || {
            self.headers()
                .iter()
                .filter(|header| header.kind == PT_LOAD)
        };
        let relro = self.find(PT_GNU_RELRO);
        let mut rights = None;
        for header in loads().filter(covers) {
            rights = Some(match header.flags & (PF_W | PF_X) {
                0 => Rights::Const,
                PF_X => Rights::Text,
                _ => Rights::Data,
            });
        }
        let constant = relro.is_some_and(|relro| {
            align_down(relro.address, PAGE) <= offset
                && offset + PAGE <= align_down(relro.address + relro.bytes, PAGE)
        });
        if constant && rights == Some(Rights::Data) {
            Some(Rights::Const)
        } else {
            rights
        }
    }

    /// Writes every relocated word for an image that runs at `target`.
    fn relocate(&self, target: u64) -> Result<(), u32> {
        let Some(dynamic) = self.find(PT_DYNAMIC) else {
            return Ok(());
        };
        let mut table = 0;
        let mut table_bytes = 0;
        let words = (self.base + dynamic.address) as *const [u64; 2];
        for index in 0..dynamic.bytes / 16 {
            // SAFETY: the dynamic section is loaded and has that many entries.
            let [tag, value] = unsafe { words.add(index as usize).read() };
            match tag {
                DT_RELA => table = value,
                DT_RELASZ => table_bytes = value,
                _ => {}
            }
        }
        let entries = (self.base + table) as *const [u64; 3];
        for index in 0..table_bytes / 24 {
            // SAFETY: as above, for the relocation table.
            let [offset, info, addend] = unsafe { entries.add(index as usize).read() };
            if info as u32 != R_X86_64_RELATIVE {
                return Err(info as u32);
            }
            // SAFETY: a relocation of this image names a word within it, which is
            // writable through the loader's identity mapping.
            unsafe {
                ((self.base + offset) as *mut u64).write_unaligned(target.wrapping_add(addend))
            };
        }
        Ok(())
    }
}

/// Step 2; see the module. Runs at the load address, on the boot stack.
extern "C" fn early(boot_info: &'static RawBootInfo, _cpu_id: u32, kernel_tsc: u64) -> ! {
    KERNEL_TSC.store(kernel_tsc, Ordering::Relaxed);
    let boot_info = BootInfo::from(*boot_info);
    let image = Image {
        base: &raw const IMAGE as u64,
    };
    let image_bytes = align_up(image.bytes(), PAGE);
    let Some(fdt_address) = boot_info
        .hardware_info
        .device_tree
        .map(|address| address.get())
    else {
        panic::early("the loader passed no device tree, so the memory map is not known");
    };
    // SAFETY: the loader passes the address of a device tree.
    let Ok(fdt) = (unsafe { Fdt::from_ptr(fdt_address as *const u8) }) else {
        panic::early("the loader's device tree cannot be parsed");
    };
    if let Some(line) = fdt
        .find_node("/chosen")
        .and_then(|node| node.property("bootargs"))
    {
        panic::set_early_line(line.as_str().unwrap_or(""));
    }
    if let Some(missing) = cpu::missing_feature() {
        panic::early_about(
            "give the VM a CPU model that has the feature, which every program needs; it lacks ",
            missing,
        );
    }
    // Here, because the image's pointers are good for neither place further down.
    cpu::init();
    let mut ranges = Ranges::new();
    for node in fdt.find_all_nodes("/memory") {
        for region in node.reg().into_iter().flatten() {
            let start = region.starting_address as u64;
            ranges.push(start, start + region.size.unwrap_or(0) as u64);
        }
    }
    let direct_end = ranges
        .as_slice()
        .iter()
        .map(|&(_, end)| end)
        .max()
        .unwrap_or(0);
    ranges.remove(0, 1 << 20);
    ranges.remove(image.base, image.base + image_bytes);
    ranges.remove(
        align_down(fdt_address, PAGE),
        align_up(fdt_address + fdt.total_size() as u64, PAGE),
    );
    for reservation in fdt.memory_reservations() {
        let start = reservation.address() as u64;
        ranges.remove(
            align_down(start, PAGE),
            align_up(start + reservation.size() as u64, PAGE),
        );
    }
    if let Some((start, end)) = initrd(&fdt) {
        ranges.remove(align_down(start, PAGE), align_up(end, PAGE));
    }
    // The first tables come from the largest range that other CPUs can reach in
    // 32-bit mode.
    let Some(&(start, end)) = ranges
        .as_slice()
        .iter()
        .filter(|&&(start, _)| start < 1 << 32)
        .max_by_key(|&&(start, end)| end - start)
    else {
        panic::early("there is no free memory below 4 GiB");
    };
    let start = align_up(start, PAGE);
    let mut bump = Bump {
        start,
        next: start,
        end: align_down(end, PAGE),
    };
    let root = build_tables(&image, image_bytes, direct_end, &ranges, &mut bump);
    if let Err(kind) = image.relocate(IMAGE_BASE) {
        let _ = kind;
        panic::early(
            "the image has a relocation that is not relative: it was not linked as a static position-independent program",
        );
    }
    let target = IMAGE_BASE + (kernel_main as *const () as u64 - image.base);
    let stack = IMAGE_BASE + (&raw const BOOT_STACK as u64 - image.base) + BOOT_STACK_BYTES as u64;
    HANDOVER.call_once(|| Handover {
        fdt: fdt_address,
        load_base: image.base,
        image_bytes,
        tls: boot_info.load_info.tls_info,
        direct_end: align_up(direct_end, LARGE_PAGE),
        ranges,
        bump,
    });
    // SAFETY: the tables map the code that runs here (through the loader's entry,
    // kept for this moment) and the image at its new place.
    unsafe { Cr3::write(root, Cr3Flags::empty()) };
    // SAFETY: both addresses are mapped now; nothing on the old stack is needed.
    unsafe {
        core::arch::asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {target}",
            "ud2",
            stack = in(reg) stack,
            target = in(reg) target,
            options(noreturn),
        )
    }
}

fn initrd(fdt: &Fdt<'_>) -> Option<(u64, u64)> {
    let chosen = fdt.find_node("/chosen")?;
    let start = chosen.property("linux,initrd-start")?.as_usize()?;
    let end = chosen.property("linux,initrd-end")?.as_usize()?;
    (start < end).then_some((start as u64, end as u64))
}

fn build_tables(
    image: &Image,
    image_bytes: u64,
    direct_end: u64,
    ranges: &Ranges,
    bump: &mut Bump,
) -> PhysFrame {
    const NO_MEMORY: &str = "not enough memory for the page tables";
    let Some(root) = bump.allocate_frame() else {
        panic::early(NO_MEMORY)
    };
    let (old_root, _) = Cr3::read();
    // SAFETY: both are page tables in identity-mapped memory; the new one is ours.
    // Entry 0 of the old one maps this code; step 3 takes it away.
    let table = unsafe {
        let table = &mut *(root.start_address().as_u64() as *mut PageTable);
        let old = &*(old_root.start_address().as_u64() as *const PageTable);
        table[0] = old[0].clone();
        table
    };
    // SAFETY: page tables are found at their physical addresses here.
    let mut tables = unsafe { OffsetPageTable::new(table, VirtAddr::new(0)) };
    let gigabyte_pages = raw_cpuid::CpuId::new()
        .get_extended_processor_and_feature_identifiers()
        .is_some_and(|features| features.has_1gib_pages());
    let mut map = |virt: u64, phys: u64, bytes: u64, rights: Rights, bump: &mut Bump| {
        let phys_addr = PhysAddr::new(phys);
        let virt = VirtAddr::new(virt);
        // SAFETY: the image and the direct map are new addresses in a new table;
        // aliasing between them is the point of a direct map.
        let done = unsafe {
            match bytes {
                PAGE => tables
                    .map_to_with_table_flags(
                        Page::<Size4KiB>::containing_address(virt),
                        PhysFrame::containing_address(phys_addr),
                        rights.flags(),
                        TABLE_FLAGS,
                        bump,
                    )
                    .is_ok(),
                LARGE_PAGE => tables
                    .map_to_with_table_flags(
                        Page::<Size2MiB>::containing_address(virt),
                        PhysFrame::containing_address(phys_addr),
                        rights.flags(),
                        TABLE_FLAGS,
                        bump,
                    )
                    .is_ok(),
                _ => tables
                    .map_to_with_table_flags(
                        Page::<Size1GiB>::containing_address(virt),
                        PhysFrame::containing_address(phys_addr),
                        rights.flags(),
                        TABLE_FLAGS,
                        bump,
                    )
                    .is_ok(),
            }
        };
        if !done {
            panic::early(NO_MEMORY);
        }
    };
    let mut offset = 0;
    while offset < image_bytes {
        if let Some(rights) = image.rights(offset) {
            map(IMAGE_BASE + offset, image.base + offset, PAGE, rights, bump);
        }
        offset += PAGE;
    }
    // Below 4 GiB everything up to the end of RAM, firmware tables included; above,
    // only what is RAM.
    const GIB: u64 = 1 << 30;
    let mut direct = |from: u64, to: u64, bump: &mut Bump| {
        let mut at = align_down(from, LARGE_PAGE);
        let end = align_up(to, LARGE_PAGE);
        while at < end {
            let bytes = if gigabyte_pages && at.is_multiple_of(GIB) && end - at >= GIB {
                GIB
            } else {
                LARGE_PAGE
            };
            map(DIRECT_MAP + at, at, bytes, Rights::Data, bump);
            at += bytes;
        }
    };
    let low_end = ranges
        .as_slice()
        .iter()
        .map(|&(_, end)| end)
        .filter(|&end| end <= 4 * GIB)
        .max();
    direct(0, low_end.unwrap_or(direct_end).min(4 * GIB), bump);
    let high = ranges
        .as_slice()
        .iter()
        .filter(|&&(start, _)| start >= 4 * GIB);
    if let Some(start) = high.map(|&(start, _)| start).min() {
        direct(start, direct_end, bump);
    }
    root
}

/// Step 3; see the module. Runs at the final address, on the boot stack.
extern "C" fn kernel_main() -> ! {
    let Some(handover) = HANDOVER.get() else {
        panic::early("the early boot code left nothing");
    };
    LINK_END.store(handover.image_bytes, Ordering::Relaxed);
    let image = Image { base: IMAGE_BASE };
    if let Some(text) = image
        .headers()
        .iter()
        .find(|header| header.kind == PT_LOAD && header.flags & PF_X != 0)
    {
        TEXT_START.store(text.address, Ordering::Relaxed);
        TEXT_END.store(text.address + text.bytes, Ordering::Relaxed);
    }
    // SAFETY: CR3 names the tables that `early` built, with all RAM in them.
    unsafe { paging::init(handover.direct_end) };
    let bump = &handover.bump;
    let mut ranges = handover.ranges;
    ranges.remove(bump.start, bump.next);
    for &(start, end) in ranges.as_slice() {
        // SAFETY: free RAM: `early` has taken out everything that is in use.
        unsafe { frames::add(start, end) };
    }
    // SAFETY: the device tree is reserved memory in the direct map.
    let fdt = unsafe { Fdt::from_ptr(paging::direct(handover.fdt) as *const u8) }
        .expect("it parsed before");
    let chosen = fdt.find_node("/chosen");
    let property = |name| chosen.and_then(|node| node.property(name));
    if let Some(tsc) = property("darner,loader-tsc").and_then(|property| property.as_usize()) {
        LOADER_TSC.store(tsc as u64, Ordering::Relaxed);
    }
    let params = params::init(
        property("bootargs")
            .and_then(|property| property.as_str())
            .unwrap_or(""),
    );
    console::init(params);
    logging::init(params.log);
    const LEAST: u64 = 4 << 20;
    if frames::total() < LEAST {
        panic::refuse(format_args!(
            "{} KiB of memory are left after loading, and at least {} KiB are needed; give the VM more memory",
            frames::total() / 1024,
            LEAST / 1024
        ));
    }
    time::init();
    let rsdp = fdt
        .all_nodes()
        .find(|node| node.name.starts_with("hermit,rsdp"))
        .and_then(|node| node.reg()?.next())
        .map(|region| region.starting_address as u64);
    let platform = platform::discover(&fdt, rsdp);
    apic::init(platform.lapic);
    let mut local = LocalInterrupts::enable();
    let block = PerCpu::create(0, local.id(), LocalInterrupts::handle());
    // SAFETY: the boot CPU's block, installed on the boot CPU, once.
    unsafe { block.install() };
    // SAFETY: only entry 0 is emptied, which held the loader's identity mapping;
    // the descriptor tables are the kernel's own from here on.
    unsafe { drop_identity_mapping() };
    timer::init(&mut local);
    *block.local.lock() = local;
    block.set_online();
    for word in &params.unknown {
        log::warn!("the command line option {word} is not known or has a bad value; it is ignored");
    }
    sched::init(platform.apic_ids.len().max(1));
    let most = if cfg!(feature = "smp") {
        crate::arch::percpu::MAX_CPUS
    } else {
        1
    };
    smp::start(&platform.apic_ids, params.max_cpus.min(most));
    if let Some(line) = &platform.serial {
        console::enable_input(line);
    }
    log::debug!(
        "image loaded at {:#x}, {} KiB; {} KiB free; {} CPUs; TSC {} kHz",
        handover.load_base,
        handover.image_bytes / 1024,
        frames::free() / 1024,
        crate::arch::percpu::online(),
        time::tsc_khz()
    );
    let tar = initrd(&fdt).map(|(start, end)| {
        // SAFETY: the initrd is reserved RAM, never written, never given back.
        unsafe {
            core::slice::from_raw_parts(paging::direct(start) as *const u8, (end - start) as usize)
        }
    });
    abi::files::init_files(tar, time::realtime_ns());
    abi::process::set_tls(handover.tls.map(|tls| {
        let start = tls.start - handover.load_base + IMAGE_BASE;
        abi::process::TlsTemplate {
            start,
            file_bytes: tls.filesz as usize,
            bytes: tls.memsz as usize,
            align: tls.align as usize,
        }
    }));
    abi::process::start_program(params);
    let stack = stacks::KernelStack::new().expect("memory for the idle stack");
    let top = stack.top();
    core::mem::forget(stack);
    // SAFETY: the stack is new and guarded; the boot stack is not used any more.
    unsafe {
        core::arch::asm!("mov rsp, {}", "xor ebp, ebp", "call {}", "ud2", in(reg) top, sym idle, options(noreturn))
    }
}

extern "C" fn idle() -> ! {
    sched::run_idle()
}

/// # Safety
/// Nothing uses the lower 512 GiB.
unsafe fn drop_identity_mapping() {
    let (root, flags) = Cr3::read();
    // SAFETY: the root table is in the direct map; entry 0 is not used, as the
    // caller says.
    unsafe {
        let table = &mut *(paging::direct(root.start_address().as_u64()) as *mut PageTable);
        table[0].set_unused();
        Cr3::write(root, flags);
    }
}

/// `address` as the linker knew it, if it is in the image's code.
pub fn link_address(address: u64) -> Option<u64> {
    is_text(address).then(|| address - IMAGE_BASE)
}

/// Whether `address` is code, of the program or of the kernel.
pub fn is_text(address: u64) -> bool {
    let offset = address.wrapping_sub(IMAGE_BASE);
    (TEXT_START.load(Ordering::Relaxed)..TEXT_END.load(Ordering::Relaxed)).contains(&offset)
}

/// Whether `address` is code of the kernel.
#[inline]
pub fn is_kernel_text(address: u64) -> bool {
    let start = &raw const KTEXT_START as u64;
    let end = &raw const KTEXT_END as u64;
    (start..end).contains(&address)
}

//! From the loader to the first thread.
//!
//! 1. [`_start`] comes in by `hermit-entry`'s protocol: identity-mapped memory,
//!    the image at an arbitrary physical address, interrupts off.
//! 2. [`early`] runs there. It builds the node's own page tables (image, direct
//!    map), applies the image's relocations again for [`IMAGE_BASE`], switches and
//!    jumps. It uses no heap and no pointer that a relocation made.
//! 3. [`kernel_main`] runs at the final address: memory, descriptor tables, time,
//!    the other CPUs, files, and the thread that enters std.

mod image;
mod ranges;
mod tables;

use core::arch::naked_asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use fdt::Fdt;
use hermit_entry::boot_info::{BootInfo, RawBootInfo};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PageTable;

use image::Image;
use ranges::{Bump, Ranges};

use crate::arch::apic::{self, LocalInterrupts};
use crate::arch::percpu::PerCpu;
use crate::arch::{cpu, smp, timer};
use crate::control::{KERNEL_TSC, LOADER_TSC};
use crate::layout::{IMAGE_BASE, LARGE_PAGE, PAGE, SLICES_BASE, align_down, align_up};
use crate::memory::{frames, kernel_heap, paging, program_heap, stacks};
use crate::{
    abi, cluster, console, diag, drivers, logging, net, panic, params, platform, sched, time, trace,
};

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
    free: Ranges,
    bump: Bump,
}

static HANDOVER: spin::Once<Handover> = spin::Once::new();
static TEXT_START: AtomicU64 = AtomicU64::new(0);
static TEXT_END: AtomicU64 = AtomicU64::new(0);

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
    let ram = memory(&fdt);
    let free = unreserved(
        &ram,
        &fdt,
        fdt_address,
        image.base..image.base + image_bytes,
    );
    // The first tables come from the largest range that other CPUs can reach in
    // 32-bit mode.
    let Some(&(start, end)) = free
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
    let root = tables::build(&image, &ram, &mut bump);
    if image.relocate(IMAGE_BASE).is_err() {
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
        direct_end: align_up(ram.end_below(u64::MAX), LARGE_PAGE),
        free,
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

/// The machine's RAM, by address.
fn memory(fdt: &Fdt<'_>) -> Ranges {
    let mut ram = Ranges::new();
    for node in fdt.find_all_nodes("/memory") {
        for region in node.reg().into_iter().flatten() {
            let start = region.starting_address as u64;
            ram.push(start, start.saturating_add(region.size.unwrap_or(0) as u64));
        }
    }
    ram.sort();
    ram
}

/// What of `ram` nobody uses yet: not the first MiB (firmware data, and the page
/// from which CPUs start), nor the image, the tree and what the tree reserves.
fn unreserved(ram: &Ranges, fdt: &Fdt<'_>, fdt_address: u64, image: Range<u64>) -> Ranges {
    let mut free = *ram;
    free.remove(0, 1 << 20);
    free.remove(image.start, image.end);
    let tree = (fdt_address, fdt_address + fdt.total_size() as u64);
    let reserved = fdt.memory_reservations().map(|reservation| {
        let start = reservation.address() as u64;
        (start, start + reservation.size() as u64)
    });
    for (start, end) in reserved.chain([tree]).chain(initrd(fdt)) {
        free.remove(align_down(start, PAGE), align_up(end, PAGE));
    }
    free
}

fn initrd(fdt: &Fdt<'_>) -> Option<(u64, u64)> {
    let chosen = fdt.find_node("/chosen")?;
    let start = chosen.property("linux,initrd-start")?.as_usize()?;
    let end = chosen.property("linux,initrd-end")?.as_usize()?;
    (start < end).then_some((start as u64, end as u64))
}

/// Step 3; see the module. Runs at the final address, on the boot stack.
extern "C" fn kernel_main() -> ! {
    let Some(handover) = HANDOVER.get() else {
        panic::early("the early boot code left nothing");
    };
    let image = Image { base: IMAGE_BASE };
    if let Some((start, end)) = image.text() {
        TEXT_START.store(start, Ordering::Relaxed);
        TEXT_END.store(end, Ordering::Relaxed);
    }
    // SAFETY: CR3 names the tables that `early` built, with all RAM in them.
    unsafe { paging::init(handover.direct_end) };
    let bump = &handover.bump;
    let mut free = handover.free;
    free.remove(bump.start, bump.next);
    // SAFETY: free RAM: `early` has taken out everything that is in use. It is in the
    // direct map.
    unsafe { frames::init(free.as_slice()) };
    const NO_HEAP: &str = "there is not enough memory for the heaps; give the VM more memory";
    if !kernel_heap::init() {
        panic::early(NO_HEAP);
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
    if let Some(config) = &params.cluster {
        if !cfg!(feature = "net") {
            panic::refuse(format_args!(
                "the command line makes this a node of a cluster, and the program was built without the network: it \
                 names no feature of `hermit` among `net`, `tcp` and `udp`"
            ));
        }
        if !config.is_complete() {
            panic::refuse(format_args!(
                "found {} addresses of nodes (cluster.address=IP), expected {}, one for each node of the cluster",
                config.addresses.len(),
                config.nodes
            ));
        }
        cluster::set_config(config);
        sched::set_node(config.me.0);
    }
    if !program_heap::init() {
        panic::early(NO_HEAP);
    }
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
    let most = if cfg!(feature = "smp") {
        crate::arch::percpu::MAX_CPUS
    } else {
        1
    };
    let others = smp::others(&platform.apic_ids, params.max_cpus.min(most));
    trace::init(1 + others.len());
    sched::init(1 + others.len());
    // Before there are other CPUs: finding devices switches their memory off and on, and a CPU that reads any
    // device's registers meanwhile makes the translator of QEMU 7.2 crash.
    drivers::find(&platform, params);
    smp::start(&others);
    if let Some(line) = platform.line(console::IRQ) {
        console::enable_input(&line);
    }
    // The standard library asks before `main`, and what it does without an answer is to wait
    // for itself.
    if !abi::entropy::is_there() {
        panic::refuse(format_args!(
            "found nothing that makes random numbers, which every program needs; expected a processor with \
             RDRAND or RDSEED, or a virtio-rng device (QEMU: -cpu max, or -device virtio-rng-pci)"
        ));
    }
    // Tests of the drivers take the cards for themselves.
    if cfg!(all(feature = "net", not(feature = "selftest"))) {
        let engine = cluster::engine(image.variables(), || image.hash());
        if engine.is_some() {
            cluster::start_servers();
        }
        net::init(drivers::nics(net::wake), &params.network, engine);
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
    match params.cluster {
        None => abi::process::start_program(),
        Some(_) => cluster::do_in_thread(abi::process::start_program),
    }
    if cfg!(feature = "net") {
        diag::start(params);
        cluster::start_sampling(params);
    } else if params.network != Default::default() {
        // No warning: xtask sets up the network of all that it starts.
        log::info!(
            "the command line sets up a network, and the program was built without one: it names no feature of \
             `hermit` among `net`, `tcp` and `udp`"
        );
    }
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

/// `address` as the linker knew it, if it is in the image and not in its code.
pub fn link_address_of_variable(address: u64) -> Option<u64> {
    let is_in_image = (IMAGE_BASE..SLICES_BASE).contains(&address);
    (is_in_image && !is_text(address)).then(|| address - IMAGE_BASE)
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

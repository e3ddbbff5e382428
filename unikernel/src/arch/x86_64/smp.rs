//! Starting the other CPUs.
//!
//! A CPU starts in real mode at a page below 1 MiB. The trampoline copied there
//! takes it to long mode on the kernel's page tables and to [`first_rust`], on a
//! stack that the boot CPU has left in the trampoline's mailbox. CPUs are started
//! one by one, so one mailbox is enough.

use alloc::vec::Vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use x86_64::registers::control::Cr3;

use super::apic::{self, LocalInterrupts};
use super::percpu::{PerCpu, this_cpu};
use super::{cpu, percpu, timer};
use crate::memory::paging;
use crate::memory::stacks::KernelStack;
use crate::{panic, sched, time};

/// Where the trampoline is copied: conventional memory that no firmware keeps.
pub const TRAMPOLINE: u64 = 0x8000;
/// How long a CPU may take to come up, in milliseconds.
const PATIENCE_MS: u64 = 5000;

/// Where in the trampoline the boot CPU leaves what the new CPU needs: CR3, the
/// top of its stack and its entry. The data comes first, so that its addresses are
/// constants: the assembler can use nothing else as an operand here.
const MAILBOX: u64 = 8;
const GDT: u64 = MAILBOX + 3 * 8;
const GDT_POINTER: u64 = GDT + 3 * 8;
const CODE: u64 = GDT_POINTER + 8;

global_asm!(
    ".pushsection .rodata.trampoline, \"a\", @progbits",
    ".global darner_trampoline, darner_trampoline_end",
    ".balign 16",
    ".code16",
    "darner_trampoline:",
    "jmp 10f",
    ".balign 8",
    ".quad 0", // CR3
    ".quad 0", // stack top
    ".quad 0", // entry
    ".quad 0",
    ".quad 0x00af9b000000ffff", // 64-bit code
    ".quad 0x00cf93000000ffff", // data
    ".word 23",
    ".long {gdt}",
    ".balign 8",
    "10:",
    "cli",
    "cld",
    "xor eax, eax",
    "mov ds, ax",
    "lgdt [{gdt_pointer}]",
    "mov eax, 0x20", // CR4.PAE
    "mov cr4, eax",
    "mov eax, [{cr3}]",
    "mov cr3, eax",
    "mov ecx, 0xc0000080", // EFER: LME and NXE (the page tables use NX)
    "rdmsr",
    "or eax, 0x900",
    "wrmsr",
    "mov eax, 0x80010001", // CR0: PG, WP, PE
    "mov cr0, eax",
    // A far jump by hand: the assembler has no 16-bit form with a 32-bit offset.
    ".byte 0x66, 0xea",
    ".long {code} + (20f - 10b)",
    ".word 8",
    ".code64",
    "20:",
    "mov ax, 16",
    "mov ds, ax",
    "mov es, ax",
    "mov ss, ax",
    "mov rsp, [{stack}]",
    "mov rax, [{entry}]",
    "xor ebp, ebp",
    "call rax",
    "ud2",
    "darner_trampoline_end:",
    ".popsection",
    gdt = const TRAMPOLINE + GDT,
    gdt_pointer = const TRAMPOLINE + GDT_POINTER,
    cr3 = const TRAMPOLINE + MAILBOX,
    stack = const TRAMPOLINE + MAILBOX + 8,
    entry = const TRAMPOLINE + MAILBOX + 16,
    code = const TRAMPOLINE + CODE,
);

unsafe extern "C" {
    #[link_name = "darner_trampoline"]
    static TRAMPOLINE_START: u8;
    #[link_name = "darner_trampoline_end"]
    static TRAMPOLINE_END: u8;
}

static STARTING: AtomicPtr<PerCpu> = AtomicPtr::new(core::ptr::null_mut());
static UP: AtomicBool = AtomicBool::new(false);

/// The controller ids of the CPUs to start: all of `apic_ids` but the boot CPU's own,
/// so many that `limit` CPUs run. Boot CPU.
pub fn others(apic_ids: &[u32], limit: usize) -> Vec<u32> {
    let me = this_cpu().apic_id;
    let limit = limit.min(percpu::MAX_CPUS);
    let others = apic_ids.iter().copied().filter(|&id| id != me);
    others.take(limit.saturating_sub(1)).collect()
}

/// Starts the CPUs with these controller ids, all or the node is refused: the
/// scheduler counts on them. Boot CPU, once.
pub fn start(apic_ids: &[u32]) {
    if apic_ids.is_empty() {
        return;
    }
    let (root, _) = Cr3::read();
    let root = root.start_address().as_u64();
    if root >= 1 << 32 {
        panic::refuse(format_args!(
            "the page tables are at {root:#x}, above 4 GiB, where CPUs cannot start from; \
             give the VM memory below 4 GiB, or one CPU"
        ));
    }
    paging::map_low_page(TRAMPOLINE);
    for (index, &apic_id) in (1..).zip(apic_ids) {
        let Some(stack) = KernelStack::new() else {
            panic::refuse(format_args!(
                "there is no memory for the stack of CPU {index}; give the VM more memory, or fewer CPUs"
            ));
        };
        start_one(index, apic_id, root, stack.top());
        // The stack is the CPU's idle context from here on.
        core::mem::forget(stack);
    }
    paging::unmap_low_page(TRAMPOLINE);
}

fn start_one(index: u32, apic_id: u32, root: u64, stack_top: u64) {
    // The controller is enabled by its own CPU; until then the block has a handle
    // that only knows the register window.
    let block = PerCpu::create(index, apic_id, LocalInterrupts::handle());
    STARTING.store(core::ptr::from_ref(block).cast_mut(), Ordering::Release);
    UP.store(false, Ordering::Release);
    let start = &raw const TRAMPOLINE_START;
    let bytes = &raw const TRAMPOLINE_END as usize - start as usize;
    // SAFETY: the page is conventional memory, mapped, and used by nobody else;
    // no CPU runs in it now.
    unsafe {
        let page = paging::direct(TRAMPOLINE) as *mut u8;
        core::ptr::copy_nonoverlapping(start, page, bytes);
        let words = page.add(MAILBOX as usize).cast::<u64>();
        words.write(root);
        words.add(1).write(stack_top);
        words.add(2).write(first_rust as *const () as u64);
    }
    this_cpu()
        .local
        .lock()
        .start_cpu(apic_id, (TRAMPOLINE / 4096) as u8);
    let deadline = time::monotonic_ns() + PATIENCE_MS * 1_000_000;
    while !UP.load(Ordering::Acquire) {
        if time::monotonic_ns() > deadline {
            // It may still come up and would run with a block that others use.
            panic!("CPU {index} (APIC id {apic_id}) did not start within {PATIENCE_MS} ms");
        }
        core::hint::spin_loop();
    }
}

/// The first Rust code of a started CPU, on its idle stack, interrupts off.
extern "C" fn first_rust() -> ! {
    cpu::init();
    // SAFETY: the boot CPU set the pointer to a leaked block made for this CPU.
    let block = unsafe { &*STARTING.load(Ordering::Acquire) };
    // SAFETY: this is the block's CPU, and the only time it installs it.
    unsafe { block.install() };
    let mut local = LocalInterrupts::enable();
    timer::prepare(&mut local);
    *block.local.lock() = local;
    sched::init_cpu();
    block.set_online();
    UP.store(true, Ordering::Release);
    sched::run_idle()
}

/// Stops every other CPU for ever. For the last words of a node.
pub fn halt_others() {
    if percpu::online() == 0 {
        return;
    }
    let me = this_cpu().index();
    for index in (0..percpu::MAX_CPUS).filter(|&index| index != me) {
        if percpu::block(index).is_some() {
            apic::send(index, super::idt::HALT);
        }
    }
}

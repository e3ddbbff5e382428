//! Interrupt entry: from the vector to Rust and back.
//!
//! Every vector has a stub that pushes its number (and a zero where the CPU
//! pushes no error code) and joins one of two paths, on the stack that the task
//! state names for it:
//!
//! * an *exception* ends the program: all registers are saved for the report. But an access to
//!   cluster memory that this node has no right to *waits* for it, as a call would, and then
//!   is done again;
//! * an *interrupt* saves all registers and runs its handler with interrupts off.
//!   Then it returns, or first lets other threads run in one of two [`Onward`] ways.
//!
//! The interrupt stack belongs to the next interrupt as soon as we switch away. So
//! the saved registers are copied to the thread's kernel stack first: to its top, or,
//! when the interrupted code was itself on the kernel stack, below it.
//!
//! * *Interrupt threads* may preempt everything outside of critical sections, the
//!   kernel's code included. Until they block nothing else runs here, and as kernel
//!   code they use no vector registers: these are left as they are, whatever the
//!   interrupted code has in them.
//! * *Another thread of the program* may run where the program was interrupted, and
//!   only there: the kernel's own code is not expected to stand still for so long, or to
//!   be moved to another CPU. The vector state is saved for that. (Not by XSAVEOPT,
//!   which leaves out what has not changed since it was last loaded from the same
//!   address: the area is on the stack, where others have written since.)
//!
//! Interrupts are on meanwhile. But before interrupt threads run they come on in a critical
//! section only: else another interrupt that finds the same threads due, and one more on top of
//! that, might come for as long as there is room on the stack.
//!
//! Afterwards, interrupts being off again, it is asked anew what is to be done, until
//! there is nothing.
//!
//! What the handlers have to do is noted first ([`Deferred`]). In a critical section
//! that is all, and its end does the rest; else it is done here, in a section of its
//! own.

use core::arch::{global_asm, naked_asm};
use core::sync::atomic::Ordering;

use spin::Once;
use x86_64::VirtAddr;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::faults;
use super::gdt::{IST_DOUBLE_FAULT, IST_FAULT, IST_INTERRUPT, IST_NMI};
use super::percpu::{Deferred, this_cpu};
use super::vectors::{load_vector, push_vector_state, save_vector, vector_bytes};
use super::{apic, tlb};
use crate::abi::malloc;
use crate::drivers::interrupts;
use crate::layout::{KERNEL_STACKS, KERNEL_STACKS_END};
use crate::trace::{self, Kind};
use crate::{boot, sched};

/// The timer of this CPU.
pub const TIMER: u8 = 0x30;
/// Messages of other CPUs, or threads, wait for this one.
pub const MESSAGE: u8 = 0x31;
/// Flush TLB entries. Answered at once, whatever the CPU is doing.
pub const SHOOTDOWN: u8 = 0x32;
/// COM1 has input.
pub const SERIAL: u8 = 0x34;
/// Stop for ever: the node is ending.
pub const HALT: u8 = 0x35;
/// Error interrupt of the local controller.
pub const APIC_ERROR: u8 = 0xfe;
/// Spurious interrupts.
pub const SPURIOUS: u8 = 0xff;

/// Registers as the entry saves them, lowest address first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// One 16-byte stub per vector, so that a stub's address follows from its number.
/// Vectors 8, 10 to 14, 17, 21, 29 and 30 come with an error code.
const STUB_BYTES: u64 = 16;

global_asm!(
    ".pushsection .text.trap_stubs, \"ax\", @progbits",
    ".balign 16",
    ".global darner_trap_stubs",
    "darner_trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30",
    ".else",
    "push 0",
    ".endif",
    "push vector",
    ".if vector == 14",
    "jmp {page_fault}",
    ".elseif vector == 1",
    "jmp {debug}",
    ".elseif vector < 32",
    "jmp {exception}",
    ".else",
    "jmp {interrupt}",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".popsection",
    exception = sym exception_entry,
    page_fault = sym page_fault_entry,
    debug = sym debug_entry,
    interrupt = sym interrupt_entry,
);

unsafe extern "C" {
    #[link_name = "darner_trap_stubs"]
    static TRAP_STUBS: u8;
}

macro_rules! save_registers {
    () => {
        "push rax
         push rbx
         push rcx
         push rdx
         push rsi
         push rdi
         push rbp
         push r8
         push r9
         push r10
         push r11
         push r12
         push r13
         push r14
         push r15
         cld"
    };
}

/// Back to where [`save_registers`] was, with `rsp` at what that has saved.
macro_rules! restore_registers {
    () => {
        "pop r15
         pop r14
         pop r13
         pop r12
         pop r11
         pop r10
         pop r9
         pop r8
         pop rbp
         pop rdi
         pop rsi
         pop rdx
         pop rcx
         pop rbx
         pop rax
         add rsp, 16
         iretq"
    };
}

/// Calls the handler with where [`save_registers`] has saved, which `rbx` keeps, on a stack that is aligned as
/// functions expect it.
macro_rules! call_with_registers {
    () => {
        "mov rdi, rsp
         mov rbx, rsp
         and rsp, -16
         call {handler}
         mov rsp, rbx"
    };
}

/// Goes on on the stack whose end is in `rdi`, with the 22 saved words moved from `rsp` to its top;
/// `rbx` is where they are then.
macro_rules! move_registers {
    () => {
        "sub rdi, {frame_bytes}
         mov rsi, rsp
         mov rsp, rdi
         mov ecx, {frame_words}
         rep movsq
         mov rbx, rsp"
    };
}

/// Exceptions do not come back.
#[unsafe(naked)]
unsafe extern "C" fn exception_entry() {
    naked_asm!(
        save_registers!(),
        "mov rdi, rsp",
        "and rsp, -16",
        "call {handler}",
        "ud2",
        handler = sym faults::exception,
    )
}

/// Debug exceptions. Those that the kernel has not asked for do not come back.
#[unsafe(naked)]
unsafe extern "C" fn debug_entry() {
    naked_asm!(
        save_registers!(),
        call_with_registers!(),
        restore_registers!(),
        handler = sym faults::debug,
    )
}

/// Page faults. Those that end the program do not come back.
///
/// The kernel's code has nothing in vector registers, and its callers expect nothing there.
#[unsafe(naked)]
unsafe extern "C" fn page_fault_entry() {
    naked_asm!(
        save_registers!(),
        call_with_registers!(),
        // To the thread's kernel stack; the fault stack is free then.
        "mov rdi, rax",
        move_registers!(),
        "mov r12, rdx",
        "mov rdi, rbx",
        "call {is_in_kernel}",
        "mov r13d, eax",
        "test eax, eax",
        "jnz 3f",
        push_vector_state!(),
        "3:",
        "mov r14, rsp",
        "sti",
        "mov rdi, r12",
        "mov rsi, rbx",
        "call {wait}",
        "cli",
        "test r13d, r13d",
        "jnz 4f",
        "mov rdi, r14",
        "call {load_vector}",
        "4:",
        "mov rsp, rbx",
        restore_registers!(),
        handler = sym page_fault,
        wait = sym faults::wait_for_page,
        is_in_kernel = sym is_in_kernel,
        frame_bytes = const size_of::<TrapFrame>(),
        frame_words = const size_of::<TrapFrame>() / 8,
        vector_bytes = sym vector_bytes,
        save_vector = sym save_vector,
        load_vector = sym load_vector,
    )
}

/// What the entry of page faults is told: above which address on the thread's kernel stack
/// there is room, and where the access was. In two registers.
#[repr(C)]
struct Wanted {
    stack: u64,
    address: u64,
}

/// Lets a page fault wait if it may, or ends the program. Interrupts are off.
extern "C" fn page_fault(frame: &TrapFrame) -> Wanted {
    let address = x86_64::registers::control::Cr2::read_raw();
    if !faults::may_wait(frame, address) {
        faults::exception(frame);
    }
    trace::event(Kind::Fault, address);
    Wanted {
        stack: stack_for(frame),
        address,
    }
}

extern "C" fn is_in_kernel(frame: &TrapFrame) -> u32 {
    boot::is_kernel_text(frame.rip).into()
}

/// Interrupts: see the module's essay.
#[unsafe(naked)]
unsafe extern "C" fn interrupt_entry() {
    naked_asm!(
        save_registers!(),
        call_with_registers!(),
        "test eax, eax",
        "jz 2f",
        // To the stack that we were told.
        "mov rdi, rdx",
        move_registers!(),
        // The interrupt stack is free for the next one.
        "3:",
        "cmp eax, {another_thread}",
        "je 4f",
        "call {interrupt_threads}",
        "jmp 5f",
        "4:",
        "sti",
        push_vector_state!(),
        "mov r12, rsp",
        "call {preempt}",
        "mov rdi, r12",
        "call {load_vector}",
        "cli",
        "mov rsp, rbx",
        "5:",
        "mov rdi, rbx",
        "call {and_now}",
        "test eax, eax",
        "jnz 3b",
        "2:",
        restore_registers!(),
        handler = sym interrupt,
        and_now = sym and_now,
        another_thread = const Onward::AnotherThread as u64,
        interrupt_threads = sym sched::run_interrupt_threads,
        frame_bytes = const size_of::<TrapFrame>(),
        frame_words = const size_of::<TrapFrame>() / 8,
        vector_bytes = sym vector_bytes,
        save_vector = sym save_vector,
        load_vector = sym load_vector,
        preempt = sym sched::preempt,
    )
}

/// How to go on after an interrupt.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// Back to what was interrupted.
    Return = 0,
    /// There once interrupt threads have run.
    InterruptThreads = 1,
    /// There once the scheduler gives this thread a CPU again.
    AnotherThread = 2,
}

/// What the entry is told: how to go on, and above which address on the thread's kernel
/// stack. In two registers (System V ABI, section 3.2.3).
#[repr(C)]
struct Answer {
    onward: Onward,
    stack: u64,
}

/// Runs the handler of an interrupt. Interrupts are off.
extern "C" fn interrupt(frame: &mut TrapFrame) -> Answer {
    // Whatever the handler does: the call that it has interrupted looks again.
    frame.rip = malloc::restart(frame.rip);
    trace::event(Kind::Interrupt, frame.vector);
    this_cpu().activity.interrupted(frame.vector as u8);
    let onward = handle(frame);
    trace::event(Kind::InterruptEnd, frame.vector);
    Answer {
        onward,
        stack: stack_for(frame),
    }
}

/// Where on the running thread's kernel stack there is room.
fn stack_for(frame: &TrapFrame) -> u64 {
    let top = this_cpu().kernel_stack.load(Ordering::Relaxed);
    // Where there is one, no other than its own can be in use.
    let in_use = (KERNEL_STACKS..=KERNEL_STACKS_END).contains(&frame.rsp);
    // The kernel's code has no red zone.
    if in_use { frame.rsp & !15 } else { top }
}

fn handle(frame: &TrapFrame) -> Onward {
    let cpu = this_cpu();
    match frame.vector as u8 {
        TIMER => cpu.defer(Deferred::Timer),
        MESSAGE => cpu.defer(Deferred::Messages),
        SERIAL => cpu.defer(Deferred::Serial),
        SHOOTDOWN => {
            tlb::answer();
            apic::end_of_interrupt();
            return Onward::Return;
        }
        HALT => loop {
            x86_64::instructions::interrupts::disable();
            x86_64::instructions::hlt();
        },
        SPURIOUS => return Onward::Return,
        vector if interrupts::VECTORS.contains(&vector) => {
            interrupts::raised(vector);
            cpu.defer(Deferred::Devices);
        }
        vector => log::warn!("interrupt {vector:#x} has no handler"),
    }
    apic::end_of_interrupt();
    if cpu.is_critical() {
        return Onward::Return;
    }
    and_now(frame)
}

/// Does what has been put off, and says how the interrupted code goes on. Interrupts
/// are off, and it is in no critical section.
extern "C" fn and_now(frame: &TrapFrame) -> Onward {
    sched::do_deferred();
    let cpu = this_cpu();
    // The idle context looks for itself what there is to run.
    if !cpu.is_deferred(Deferred::Switch) || cpu.kernel_stack.load(Ordering::Relaxed) == 0 {
        return Onward::Return;
    }
    if sched::is_interrupt_thread_due() {
        return Onward::InterruptThreads;
    }
    if boot::is_kernel_text(frame.rip) {
        sched::retry_soon();
        return Onward::Return;
    }
    Onward::AnotherThread
}

static IDT: Once<InterruptDescriptorTable> = Once::new();

/// Loads the table into the calling CPU, filling it the first time.
pub fn load() {
    let idt = IDT.call_once(|| {
        let stub = |vector: u64| VirtAddr::new(&raw const TRAP_STUBS as u64 + vector * STUB_BYTES);
        let mut idt = InterruptDescriptorTable::new();
        // SAFETY: the stubs follow the entry convention of their vectors, and the
        // stacks are those that every CPU's task state provides.
        unsafe {
            idt.divide_error
                .set_handler_addr(stub(0))
                .set_stack_index(IST_FAULT);
            idt.debug
                .set_handler_addr(stub(1))
                .set_stack_index(IST_FAULT);
            idt.non_maskable_interrupt
                .set_handler_addr(stub(2))
                .set_stack_index(IST_NMI);
            idt.breakpoint
                .set_handler_addr(stub(3))
                .set_stack_index(IST_FAULT);
            idt.overflow
                .set_handler_addr(stub(4))
                .set_stack_index(IST_FAULT);
            idt.bound_range_exceeded
                .set_handler_addr(stub(5))
                .set_stack_index(IST_FAULT);
            idt.invalid_opcode
                .set_handler_addr(stub(6))
                .set_stack_index(IST_FAULT);
            idt.device_not_available
                .set_handler_addr(stub(7))
                .set_stack_index(IST_FAULT);
            idt.double_fault
                .set_handler_addr(stub(8))
                .set_stack_index(IST_DOUBLE_FAULT);
            idt.invalid_tss
                .set_handler_addr(stub(10))
                .set_stack_index(IST_FAULT);
            idt.segment_not_present
                .set_handler_addr(stub(11))
                .set_stack_index(IST_FAULT);
            idt.stack_segment_fault
                .set_handler_addr(stub(12))
                .set_stack_index(IST_FAULT);
            idt.general_protection_fault
                .set_handler_addr(stub(13))
                .set_stack_index(IST_FAULT);
            idt.page_fault
                .set_handler_addr(stub(14))
                .set_stack_index(IST_FAULT);
            idt.x87_floating_point
                .set_handler_addr(stub(16))
                .set_stack_index(IST_FAULT);
            idt.alignment_check
                .set_handler_addr(stub(17))
                .set_stack_index(IST_FAULT);
            idt.machine_check
                .set_handler_addr(stub(18))
                .set_stack_index(IST_NMI);
            idt.simd_floating_point
                .set_handler_addr(stub(19))
                .set_stack_index(IST_FAULT);
            for vector in 32..=255u8 {
                idt[vector]
                    .set_handler_addr(stub(u64::from(vector)))
                    .set_stack_index(IST_INTERRUPT);
            }
        }
        idt
    });
    idt.load();
}

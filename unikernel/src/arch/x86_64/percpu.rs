//! The block of each CPU, reached through `GS`.
//!
//! Only the first fields are read by assembly and by one-instruction accessors;
//! their offsets are fixed. The block is owned by its CPU; other CPUs read only
//! the atomics.

use alloc::boxed::Box;
use core::arch::asm;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use darner_slab::magazine;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use super::activity::Activity;
use super::apic::LocalInterrupts;
use super::gdt::Tables;
use crate::memory::{kernel_heap, program_heap};
use crate::sync::Lock;
use crate::time::Stretch;

/// The most CPUs a node may have.
pub const MAX_CPUS: usize = 64;

/// What an interrupt wants that a critical section has to end for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    /// Messages, or threads that have arrived.
    Messages = 1,
    /// The timer has fired.
    Timer = 2,
    /// COM1 has input.
    Serial = 4,
    /// Another thread should run.
    Switch = 8,
    /// Devices have interrupted.
    Devices = 16,
}

/// What one CPU owns.
#[repr(C)]
pub struct PerCpu {
    /// The block's own address, so that `mov reg, gs:[0]` gives a pointer.
    this: *const PerCpu,
    /// The thread that runs here; the idle context has 0.
    tid: AtomicU32,
    index: u32,
    /// How many critical sections the CPU is in, with [`NOTHING`] while nothing has been
    /// put off: the end of the last section finds 0 if there is something to do.
    /// Changed by the CPU alone, in one instruction, so that it needs no atomic
    /// operation.
    critical: AtomicU32,
    /// What has been put off until the CPU is in none: [`Deferred`] bits.
    deferred: AtomicU32,
    /// Top of the kernel stack of the thread that runs here (0: may not be
    /// preempted). Read by the interrupt entry and by the ABI's.
    pub kernel_stack: AtomicU64,
    /// The TLB shootdown that this CPU has seen last.
    pub tlb_seen: AtomicU64,
    /// What the scheduler keeps of this CPU.
    scheduler: AtomicPtr<()>,
    /// What this CPU has of the program's heap, and of the kernel's: their owner's parts.
    program_heap: AtomicPtr<()>,
    kernel_heap: AtomicPtr<()>,
    /// Magazines of its part of the program's heap, for the calls that need nothing else.
    magazines: [NonNull<()>; magazine::ENTRIES],
    /// When it has last given memory back while it idled, in monotonic ns.
    pub reclaimed: AtomicU64,
    /// Whether there may be something to give back since then.
    pub may_reclaim: AtomicBool,
    /// Chunks freed here that others have been told of.
    pub told: AtomicU64,
    /// For telling the time.
    pub stretch: Stretch,
    /// What it has been doing.
    pub activity: Activity,
    /// Interrupt controller of this CPU.
    pub local: Lock<LocalInterrupts>,
    /// The id of that controller.
    pub apic_id: u32,
    /// Descriptor tables of this CPU; the hardware points at them.
    pub tables: Box<Tables>,
}

// SAFETY: `this` and the magazines' addresses are constant; all that changes is atomic or
// behind a lock.
unsafe impl Sync for PerCpu {}

/// Marks the count of critical sections while nothing is put off.
const NOTHING: u32 = 1 << 31;

static BLOCKS: [AtomicPtr<PerCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];
static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// Byte offset of the thread id, for [`current_tid`].
pub const TID: usize = offset_of!(PerCpu, tid);
const _: () = assert!(TID == 8, "the thread id is where the accessor reads it");
/// Byte offset of [`PerCpu::kernel_stack`], for the ABI's entry.
pub const KERNEL_STACK: usize = offset_of!(PerCpu, kernel_stack);
const INDEX: usize = offset_of!(PerCpu, index);
const SCHEDULER: usize = offset_of!(PerCpu, scheduler);
const PROGRAM_HEAP: usize = offset_of!(PerCpu, program_heap);
const KERNEL_HEAP: usize = offset_of!(PerCpu, kernel_heap);
/// Byte offset of the table of the program heap's magazines.
pub const MAGAZINES: usize = offset_of!(PerCpu, magazines);
/// Byte offset of [`PerCpu::stretch`], for who tells the time.
pub const STRETCH: usize = offset_of!(PerCpu, stretch);
const CRITICAL: usize = offset_of!(PerCpu, critical);

impl PerCpu {
    /// A block for CPU `index`, not yet installed. It lives for ever.
    pub fn create(index: u32, apic_id: u32, local: LocalInterrupts) -> &'static PerCpu {
        let (program_heap, magazines) = program_heap::part_of(index as usize);
        let block = Box::leak(Box::new(PerCpu {
            this: core::ptr::null(),
            tid: AtomicU32::new(0),
            index,
            critical: AtomicU32::new(NOTHING),
            deferred: AtomicU32::new(0),
            kernel_stack: AtomicU64::new(0),
            tlb_seen: AtomicU64::new(0),
            scheduler: AtomicPtr::new(core::ptr::null_mut()),
            program_heap: AtomicPtr::new(program_heap.as_ptr()),
            kernel_heap: AtomicPtr::new(kernel_heap::part_of(index as usize).as_ptr()),
            magazines,
            reclaimed: AtomicU64::new(0),
            may_reclaim: AtomicBool::new(true),
            told: AtomicU64::new(0),
            stretch: Stretch::new(),
            activity: match index {
                0 => Activity::busy(),
                _ => Activity::idle(),
            },
            local: Lock::new(local),
            apic_id,
            tables: Tables::create(),
        }));
        block.this = block;
        BLOCKS[index as usize].store(block, Ordering::Release);
        block
    }

    /// Points `GS` of the calling CPU at this block and loads its tables.
    ///
    /// # Safety
    /// Called once per block, on the CPU that it is for, with interrupts off.
    pub unsafe fn install(&'static self) {
        // SAFETY: the tables live for ever, and the caller is their CPU.
        unsafe { self.tables.load() };
        GsBase::write(VirtAddr::from_ptr(self.this));
    }

    /// Counts the calling CPU as one that runs threads and answers interrupts.
    pub fn set_online(&self) {
        ONLINE.fetch_add(1, Ordering::AcqRel);
    }

    /// This CPU's number, from 0.
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// The thread that runs here, or 0. Any context.
    pub fn running_tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    /// Puts something off. Interrupt handlers and critical sections of this CPU.
    pub fn defer(&self, what: Deferred) {
        // In this order: an interrupt in between does both itself.
        self.deferred.fetch_or(what as u32, Ordering::Relaxed);
        self.critical.fetch_and(!NOTHING, Ordering::Relaxed);
    }

    /// Whether `what` has been put off.
    pub fn is_deferred(&self, what: Deferred) -> bool {
        self.deferred.load(Ordering::Relaxed) & what as u32 != 0
    }

    /// Whether anything besides `what` has been put off.
    pub fn is_any_deferred_but(&self, what: Deferred) -> bool {
        self.deferred.load(Ordering::Relaxed) & !(what as u32) != 0
    }

    /// Whether `what` had been put off; it is the caller's to do now.
    #[inline(always)]
    pub fn take_deferred(&self, what: Deferred) -> bool {
        let taken = self.is_deferred(what);
        if taken {
            self.forget_deferred(what);
        }
        taken
    }

    #[cold]
    fn forget_deferred(&self, what: Deferred) {
        let before = self.deferred.fetch_and(!(what as u32), Ordering::Relaxed);
        if before == what as u32 {
            self.critical.fetch_or(NOTHING, Ordering::Relaxed);
            // An interrupt may have put something off before that.
            if self.deferred.load(Ordering::Relaxed) != 0 {
                self.critical.fetch_and(!NOTHING, Ordering::Relaxed);
            }
        }
    }

    /// Whether this CPU is in a critical section.
    #[inline(always)]
    pub fn is_critical(&self) -> bool {
        self.critical.load(Ordering::Relaxed) & !NOTHING != 0
    }

    /// Says which thread runs here now, and where its kernel stack ends; 0 and 0:
    /// the idle context.
    #[inline(always)]
    pub fn set_running(&self, tid: u32, kernel_stack: u64) {
        self.tid.store(tid, Ordering::Relaxed);
        self.kernel_stack.store(kernel_stack, Ordering::Relaxed);
    }
}

/// Enters a critical section of the calling CPU: one instruction.
#[inline(always)]
pub fn enter_critical() {
    // SAFETY: GS points at the CPU's block; the count has this offset in it. Memory
    // accesses stay within the section: the compiler takes this for one.
    unsafe { asm!("inc dword ptr gs:[{}]", const CRITICAL, options(nostack)) };
}

/// Leaves a critical section of the calling CPU, in two instructions. Calls `put_off` if
/// it was the last and something has been put off.
#[inline(always)]
pub fn exit_critical(put_off: impl FnOnce()) {
    // SAFETY: as for `enter_critical`. What an interrupt wants after this is put off by
    // nobody, the CPU being in no section.
    unsafe {
        asm!(
            "dec dword ptr gs:[{}]",
            "jz {}",
            const CRITICAL,
            label { put_off() },
            options(nostack)
        )
    };
}

/// The calling CPU's block. The caller must not migrate while it uses it: kernel code
/// does so only where it waits and at the ends of critical sections. An interrupt thread
/// that preempts it gives the same CPU back.
#[inline(always)]
pub fn this_cpu() -> &'static PerCpu {
    let block: *const PerCpu;
    // SAFETY: GS points at the CPU's block from `install` on, which is before any
    // caller; the first word of the block is its address and never changes.
    unsafe { asm!("mov {}, gs:[0]", out(reg) block, options(nostack, preserves_flags, readonly)) };
    // SAFETY: as above; blocks are never freed.
    unsafe { &*block }
}

/// Says what the scheduler keeps of the calling CPU.
pub fn set_scheduler<T>(data: *const T) {
    let data = data.cast_mut().cast();
    this_cpu().scheduler.store(data, Ordering::Relaxed);
}

/// The pointer at byte `OFFSET` of the calling CPU's block, in one instruction.
#[inline(always)]
fn pointer_at<const OFFSET: usize>() -> *mut () {
    let pointer: *mut ();
    // SAFETY: GS points at the CPU's block, which has a pointer at each offset that this is
    // called with.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) pointer, const OFFSET, options(nostack, preserves_flags, readonly))
    };
    pointer
}

/// What [`set_scheduler`] was last given on the calling CPU.
#[inline(always)]
pub fn scheduler<T>() -> *const T {
    pointer_at::<SCHEDULER>().cast_const().cast()
}

/// The calling CPU's part of the program's heap. In a critical section.
#[inline(always)]
pub fn program_heap() -> *mut () {
    pointer_at::<PROGRAM_HEAP>()
}

/// The calling CPU's part of the kernel's heap. In a critical section.
#[inline(always)]
pub fn kernel_heap() -> *mut () {
    pointer_at::<KERNEL_HEAP>()
}

/// The calling CPU's number, in one instruction.
#[inline(always)]
pub fn this_index() -> usize {
    let index: u32;
    // SAFETY: GS points at the CPU's block, where the number has this offset.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) index, const INDEX, options(nostack, preserves_flags, readonly))
    };
    index as usize
}

/// The calling CPU's number, or 0 before it has a block.
pub fn cpu_index() -> usize {
    if online() == 0 { 0 } else { this_cpu().index() }
}

/// The calling thread's id, in one instruction: correct even if the thread is
/// moved right before or after it.
#[inline(always)]
pub fn current_tid() -> u32 {
    let tid: u32;
    // SAFETY: GS points at the CPU's block, whose thread id is at offset 8.
    unsafe { asm!("mov {:e}, gs:[8]", out(reg) tid, options(nostack, preserves_flags, readonly)) };
    tid
}

/// How many CPUs run threads.
pub fn online() -> usize {
    ONLINE.load(Ordering::Acquire)
}

/// The block of CPU `index`, if there is one. Any context.
pub fn block(index: usize) -> Option<&'static PerCpu> {
    let block = BLOCKS.get(index)?.load(Ordering::Acquire);
    // SAFETY: non-null entries come from `create` and are never freed.
    unsafe { block.as_ref() }
}

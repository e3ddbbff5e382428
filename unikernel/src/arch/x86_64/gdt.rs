//! Segments, task state and interrupt stacks, one set per CPU.
//!
//! Programs are compiled with a red zone, so an interrupt may not push onto the
//! stack that it finds: every vector enters on a stack of its own (IST).

use alloc::boxed::Box;

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::idt;
use crate::memory::stacks::KernelStack;

/// IST slot of double faults.
pub const IST_DOUBLE_FAULT: u16 = 0;
/// IST slot of NMIs and machine checks.
pub const IST_NMI: u16 = 1;
/// IST slot of all other exceptions.
pub const IST_FAULT: u16 = 2;
/// IST slot of device interrupts, the timer and IPIs.
pub const IST_INTERRUPT: u16 = 3;
const STACKS: usize = 4;

/// A CPU's descriptor tables and the stacks they name.
pub struct Tables {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
    code: SegmentSelector,
    data: SegmentSelector,
    task: SegmentSelector,
    _stacks: [KernelStack; STACKS],
}

impl Tables {
    /// Fresh tables; they must stay where they are once loaded.
    pub fn create() -> Box<Self> {
        let stacks = core::array::from_fn(|_| {
            KernelStack::new().expect("memory for the interrupt stacks of a CPU")
        });
        let mut tables = Box::new(Self {
            gdt: GlobalDescriptorTable::new(),
            tss: TaskStateSegment::new(),
            code: SegmentSelector::NULL,
            data: SegmentSelector::NULL,
            task: SegmentSelector::NULL,
            _stacks: stacks,
        });
        for slot in 0..STACKS {
            tables.tss.interrupt_stack_table[slot] = VirtAddr::new(tables._stacks[slot].top());
        }
        tables.code = tables.gdt.append(Descriptor::kernel_code_segment());
        tables.data = tables.gdt.append(Descriptor::kernel_data_segment());
        // SAFETY: the task state lives in the same box, which is never freed once
        // the descriptor has been loaded (per-CPU blocks live for ever).
        let task = unsafe { Descriptor::tss_segment_unchecked(&raw const tables.tss) };
        tables.task = tables.gdt.append(task);
        tables
    }

    /// Loads the tables into the calling CPU.
    ///
    /// # Safety
    /// The tables must live for ever and belong to this CPU; interrupts are off.
    pub unsafe fn load(&'static self) {
        // SAFETY: the selectors name flat 64-bit segments of the table just
        // loaded, so code and stack stay valid; the task state is this CPU's.
        unsafe {
            self.gdt.load_unsafe();
            CS::set_reg(self.code);
            SS::set_reg(self.data);
            DS::set_reg(self.data);
            ES::set_reg(self.data);
            load_tss(self.task);
        }
        idt::load();
    }
}

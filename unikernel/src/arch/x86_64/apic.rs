//! Interrupt controllers: the local one of each CPU and the I/O APIC.
//!
//! Registers and modes (xAPIC, x2APIC) are crate `x2apic`'s business. The vector
//! of an end-of-interrupt and of an IPI must reach the CPU's own controller, so
//! both go through the CPU's block.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use raw_cpuid::CpuId;
use x2apic::ioapic::{IoApic, IrqFlags, IrqMode, RedirectionTableEntry};
use x2apic::lapic::{LocalApic, LocalApicBuilder, TimerDivide, TimerMode};
use x86_64::instructions::port::Port;

use super::idt;
use super::percpu::{self, this_cpu};
use crate::layout;
use crate::memory::paging;

/// The local controller of one CPU.
pub struct LocalInterrupts(LocalApic);

// SAFETY: the register block answers for whichever CPU touches it; it is only
// reached through the owning CPU's block, by that CPU.
unsafe impl Send for LocalInterrupts {}

/// Where xAPIC registers have ids and destinations (Intel SDM vol. 3, 11.4.6).
const XAPIC_ID_SHIFT: u32 = 24;

static LAPIC_VIRTUAL: AtomicU64 = AtomicU64::new(0);
static X2APIC: AtomicBool = AtomicBool::new(false);

/// Silences the legacy interrupt controllers and maps the local APIC's window.
/// Called once, on the boot CPU.
pub fn init(physical: u64) {
    X2APIC.store(
        CpuId::new()
            .get_feature_info()
            .is_some_and(|info| info.has_x2apic()),
        Ordering::Relaxed,
    );
    // SAFETY: masking every line of both 8259s; all interrupts come by APIC.
    unsafe {
        Port::<u8>::new(0x21).write(0xff);
        Port::<u8>::new(0xa1).write(0xff);
    }
    LAPIC_VIRTUAL.store(
        paging::map_device(physical, layout::PAGE),
        Ordering::Relaxed,
    );
}

impl LocalInterrupts {
    /// Enables the calling CPU's controller, its timer stopped in one-shot mode.
    pub fn enable() -> Self {
        let mut local = Self::handle();
        // SAFETY: the vectors have handlers, the window is mapped uncached, and
        // interrupts are off.
        unsafe { local.0.enable() };
        local
    }

    /// A handle on the controller, which stays as it is.
    pub fn handle() -> Self {
        let lapic = LocalApicBuilder::new()
            .timer_vector(idt::TIMER as usize)
            .error_vector(idt::APIC_ERROR as usize)
            .spurious_vector(idt::SPURIOUS as usize)
            .timer_mode(TimerMode::OneShot)
            .timer_divide(TimerDivide::Div16)
            .timer_initial(0)
            .set_xapic_base(LAPIC_VIRTUAL.load(Ordering::Relaxed))
            .build()
            .expect("the builder has every field");
        Self(lapic)
    }

    /// The controller's id.
    pub fn id(&self) -> u32 {
        // SAFETY: reading the id register.
        let id = unsafe { self.0.id() };
        if X2APIC.load(Ordering::Relaxed) {
            id
        } else {
            id >> XAPIC_ID_SHIFT
        }
    }

    /// Starts the one-shot timer: it fires after `count` of its ticks; 0 stops it.
    pub fn start_timer(&mut self, count: u32) {
        // SAFETY: one-shot mode; the vector has a handler.
        unsafe { self.0.set_timer_initial(count) };
    }

    /// Switches the timer to TSC-deadline mode.
    pub fn use_deadline(&mut self) {
        // SAFETY: the caller has checked that the CPU has the mode.
        unsafe { self.0.set_timer_mode(TimerMode::TscDeadline) };
    }

    /// Ticks left of the one-shot timer.
    pub fn timer_left(&self) -> u32 {
        // SAFETY: reading the current-count register.
        unsafe { self.0.timer_current() }
    }

    /// Starts the CPU with controller `apic_id` at page `page` (INIT, then SIPI
    /// twice; Intel SDM vol. 3, 9.4.4).
    pub fn start_cpu(&mut self, apic_id: u32, page: u8) {
        // SAFETY: the page holds the trampoline, and the CPU has not been started.
        unsafe {
            self.0.send_init_ipi(destination(apic_id));
            self.wait_sent();
            spin_us(10);
            for _ in 0..2 {
                self.0.send_sipi(page, destination(apic_id));
                self.wait_sent();
                spin_us(10);
            }
        }
    }

    fn wait_sent(&self) {
        // x2APIC has no delivery status: a write to the command register is the end.
        if X2APIC.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: reading the status bit.
        while unsafe { self.0.get_ipi_delivery_status() } {
            core::hint::spin_loop();
        }
    }
}

/// An id as the upper half of the command register has it. The crate writes that
/// half as it is given.
fn destination(apic_id: u32) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        apic_id
    } else {
        apic_id << XAPIC_ID_SHIFT
    }
}

/// Waits `us` microseconds by the counter.
pub fn spin_us(us: u64) {
    let end = super::cpu::tsc() + us * crate::time::tsc_khz() / 1000;
    while super::cpu::tsc() < end {
        core::hint::spin_loop();
    }
}

/// Tells the calling CPU's controller that its handler is done. Interrupt context.
pub fn end_of_interrupt() {
    // SAFETY: called once per interrupt, by its handler.
    unsafe { this_cpu().local.lock().0.end_of_interrupt() };
}

/// Raises `vector` on CPU `index`, if it is there. Any context but exceptions.
pub fn send(index: usize, vector: u8) {
    let Some(target) = percpu::block(index) else {
        return;
    };
    let mut local = this_cpu().local.lock();
    // The command register holds one command at a time.
    local.wait_sent();
    // SAFETY: the vectors this kernel sends have handlers on every CPU.
    unsafe { local.0.send_ipi(vector, destination(target.apic_id)) };
}

/// Routes `gsi`, an edge-triggered line of the I/O APIC at `physical`, to
/// `vector` on this CPU.
pub fn route(physical: u64, pin: u8, vector: u8, active_low: bool) {
    let window = paging::map_device(physical, layout::PAGE);
    let mut entry = RedirectionTableEntry::default();
    entry.set_mode(IrqMode::Fixed);
    entry.set_vector(vector);
    entry.set_dest(this_cpu().apic_id as u8);
    entry.set_flags(if active_low {
        IrqFlags::LOW_ACTIVE
    } else {
        IrqFlags::empty()
    });
    // SAFETY: the window is the I/O APIC's registers, mapped uncached; boot is
    // their only user.
    unsafe {
        let mut ioapic = IoApic::new(window);
        ioapic.set_table_entry(pin, entry);
        ioapic.enable_irq(pin);
    }
}

/// What a device writes to memory to raise a vector.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where, below 4 GiB.
    pub address: u32,
    /// What.
    pub data: u32,
}

/// What raises `vector` on the calling CPU, as an edge (Intel SDM vol. 3, 11.11). `None`: this
/// CPU's id does not fit into such an address.
pub fn message(vector: u8) -> Option<Message> {
    const WINDOW: u32 = 0xfee0_0000;
    const DESTINATION_SHIFT: u32 = 12;
    let destination = u8::try_from(this_cpu().apic_id).ok()?;
    Some(Message {
        address: WINDOW | u32::from(destination) << DESTINATION_SHIFT,
        data: u32::from(vector),
    })
}

//! Critical sections, and data that only its own CPU touches.
//!
//! A critical section is a counter: entering it is one instruction, neither
//! atomic nor privileged. Interrupts still come, but what they want of the
//! scheduler or of the CPU's data is noted and done when the section ends. Data of
//! a CPU therefore needs no lock: [`CpuLocal`] gives it out for the length of a
//! [`Critical`] section, to the CPU that the section is on.
//!
//! Within a critical section data of the CPU is reached by shared references (a
//! section may enclose others, each with the same data), so that data is made of
//! `Cell`s. What might let messages to this CPU run, or block, takes the section
//! by `&mut`, and so cannot be called while a reference lives.

use core::marker::PhantomData;

use crate::machine::Machine;

/// A critical section of the calling thread: it keeps this CPU, and no message
/// handler runs on it. Leaves the section on drop.
///
/// It cannot be given to another thread: `Critical` is not `Send`.
///
/// ```compile_fail,E0277
/// # use darner_lwkt::{Critical, Machine};
/// fn other_thread<M: Machine>(section: Critical<M>) {
///     fn send<T: Send>(_: T) {}
///     send(section);
/// }
/// ```
pub struct Critical<M: Machine> {
    /// The raw pointer makes it neither `Send` nor `Sync`.
    _here: PhantomData<(*mut (), M)>,
}

impl<M: Machine> Critical<M> {
    /// Enters a critical section. Any context but exceptions.
    #[inline(always)]
    #[must_use = "the section ends when this is dropped"]
    pub fn enter() -> Self {
        M::enter_critical();
        Self { _here: PhantomData }
    }

    /// The section that the calling context is in already, to leave it.
    ///
    /// # Safety
    /// The context is in a critical section that nothing else will leave.
    #[inline(always)]
    pub(crate) unsafe fn adopt() -> Self {
        Self { _here: PhantomData }
    }

    /// The CPU that the section is on.
    #[inline(always)]
    pub fn cpu(&self) -> usize {
        M::cpu()
    }
}

impl<M: Machine> Drop for Critical<M> {
    #[inline(always)]
    fn drop(&mut self) {
        M::exit_critical();
    }
}

/// Leave to wait: the caller is a thread, in no critical section, and holds no spin
/// lock. Functions that block, or spin until another CPU has done something, ask for
/// it. Handlers have none: it is not `Send`, so a message cannot carry it.
pub struct MayBlock<M: Machine>(PhantomData<(*mut (), M)>);

impl<M: Machine> MayBlock<M> {
    /// Leave to wait, for code that knows that it may.
    ///
    /// # Safety
    /// The caller is in thread context. It does not use this within a critical
    /// section, or while it holds a spin lock.
    #[inline(always)]
    pub const unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

/// One `T` for each CPU, reached only from that CPU, in a critical section.
///
/// ```compile_fail,E0597
/// # use core::cell::Cell;
/// # use darner_lwkt::{CpuLocal, Critical, Machine};
/// fn keep<M: Machine>(data: &'static CpuLocal<M, Cell<u32>>) -> &'static Cell<u32> {
///     let section = Critical::<M>::enter();
///     data.get(&section)
/// }
/// ```
pub struct CpuLocal<M: Machine, T> {
    of: alloc::boxed::Box<[T]>,
    _machine: PhantomData<fn() -> M>,
}

// SAFETY: `get` gives a `T` only to the CPU that it belongs to, within a critical
// section, where this CPU runs nothing else that could reach it.
unsafe impl<M: Machine, T: Send> Sync for CpuLocal<M, T> {}

impl<M: Machine, T> CpuLocal<M, T> {
    /// One value for each CPU of the machine, made from its number.
    pub fn new(value: impl FnMut(usize) -> T) -> Self {
        Self {
            of: (0..M::cpus()).map(value).collect(),
            _machine: PhantomData,
        }
    }

    /// This CPU's value, until the section ends.
    #[inline(always)]
    pub fn get<'a>(&'a self, section: &'a Critical<M>) -> &'a T {
        let cpu = section.cpu();
        debug_assert!(cpu < self.of.len(), "CPU {cpu} has no data");
        // SAFETY: there is a value for each CPU, and `Machine` promises that numbers of
        // CPUs are less than that.
        unsafe { self.of.get_unchecked(cpu) }
    }

    /// Where CPU `cpu`'s value is, as long as this lives. Any CPU.
    ///
    /// # Panics
    /// When there is no such CPU.
    #[inline]
    pub fn pointer(&self, cpu: usize) -> *const T {
        &raw const self.of[cpu]
    }

    /// A part of CPU `cpu`'s value that may be shared. Any CPU.
    ///
    /// # Safety
    /// `part` does nothing but to give a field of the value.
    ///
    /// # Panics
    /// When there is no such CPU.
    #[inline]
    pub unsafe fn part_of<U: Sync>(&self, cpu: usize, part: impl FnOnce(&T) -> &U) -> &U {
        part(&self.of[cpu])
    }
}

//! Fixed priorities, of programs' threads and of interrupt threads.

/// Fixed priority of a thread; what has the higher one runs first.
///
/// Programs' threads have 0 to 31 ([`Priority::new`]). Above them are interrupt threads
/// ([`Priority::interrupt`]): they preempt whatever runs, the kernel's own code included,
/// outside of critical sections, and what they have preempted goes on as soon as they
/// block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// How many there are, a power of two: programs', that of interrupted threads, and
    /// those of interrupt threads.
    pub(super) const LEVELS: usize = 64;
    /// How many there are for programs' threads.
    pub const COUNT: usize = 32;
    /// 0.
    pub const LOWEST: Self = Self(0);
    /// 31, the highest of a program's thread.
    pub const HIGHEST: Self = Self(31);
    /// Where a program's thread waits that an interrupt thread has preempted: before all
    /// other programs' threads, and not to be given away. No thread's own.
    pub(crate) const INTERRUPTED: Self = Self(32);
    /// How many levels of interrupt threads there are.
    pub const INTERRUPT_LEVELS: usize = Self::LEVELS - Self::COUNT - 1;

    /// Priority `number` of a program's thread.
    ///
    /// # Panics
    /// When the number is more than 31; while compiling, if in a constant.
    #[inline]
    pub const fn new(number: u8) -> Self {
        assert!(
            number < Self::COUNT as u8,
            "priorities are from 0 to 31, 31 being the highest"
        );
        Self(number)
    }

    /// The priority of interrupt threads of `level`; those of higher levels preempt those
    /// of lower ones.
    ///
    /// # Panics
    /// When the level is [`Self::INTERRUPT_LEVELS`] or more; while compiling, if in a
    /// constant.
    #[inline]
    pub const fn interrupt(level: u8) -> Self {
        assert!(
            level < Self::INTERRUPT_LEVELS as u8,
            "levels of interrupt threads are from 0 to 30"
        );
        Self(Self::INTERRUPTED.0 + 1 + level)
    }

    /// Whether it is an interrupt thread's.
    #[inline(always)]
    pub const fn is_interrupt(self) -> bool {
        self.0 > Self::INTERRUPTED.0
    }

    /// The priority of a number that came from [`Priority::number`].
    #[inline(always)]
    pub(crate) const fn again(number: u8) -> Self {
        debug_assert!((number as usize) < Self::LEVELS);
        Self(number)
    }

    /// 0 to 31 for a program's thread, more for others.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Which ring; the mask tells the compiler what `new` has checked.
    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        self.0 as usize & (Self::LEVELS - 1)
    }

    /// The priority of ring `index`.
    #[inline(always)]
    pub(super) const fn of_index(index: usize) -> Self {
        debug_assert!(index < Self::LEVELS);
        Self(index as u8)
    }

    /// The bit of the priority in a set of them.
    #[inline(always)]
    pub(super) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// The set of this priority and all below it.
    #[inline(always)]
    pub(super) const fn and_below(self) -> u64 {
        self.bit() | (self.bit() - 1)
    }
}

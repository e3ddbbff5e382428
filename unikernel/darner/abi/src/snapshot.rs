//! The numbers themselves, laid out as kernel and program exchange them.

use core::fmt;

/// How many size classes a heap has.
pub const CLASSES: usize = 72;

/// A structure of 64-bit numbers, which can be written as ` name=value` and read back.
macro_rules! numbers {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $($(#[$about_field:meta])* pub $field:ident,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$about_field])* pub $field: u64,)*
        }

        impl $name {
            /// Takes the numbers out of words ` name=value`; names that it does not know are
            /// passed over, and numbers that are missing are 0.
            pub(crate) fn read(text: &str) -> Self {
                let mut numbers = Self::default();
                for (name, value) in text.split_whitespace().filter_map(|w| w.split_once('=')) {
                    match name {
                        $(stringify!($field) => numbers.$field = value.parse().unwrap_or(0),)*
                        _ => {}
                    }
                }
                numbers
            }
        }

        /// As words ` name=value`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(write!(f, concat!(" ", stringify!($field), "={}"), self.$field)?;)*
                Ok(())
            }
        }
    };
}

numbers! {
    /// The machine.
    pub struct Node {
        /// CPUs that run.
        pub cpus,
        /// Message interrupts that CPUs have sent each other since boot.
        pub message_interrupts,
        /// Bytes of RAM that the kernel manages.
        pub memory_total,
        /// Bytes of it that are free.
        pub memory_free,
    }
}

numbers! {
    /// A heap as a whole.
    pub struct Totals {
        /// Bytes that are handed out, as chunks of classes and as runs of pages. What is freed on
        /// another CPU than it was allocated on may be among them for a while.
        pub in_use,
        /// Bytes of RAM that the heap has, its bookkeeping not counted.
        pub committed,
        /// The most that these were.
        pub peak_committed,
        /// Bytes of RAM that the heap has and no zone and no run uses.
        pub idle,
        /// Bytes handed out as runs of pages: blocks of more than 16 KiB.
        pub run_bytes,
        /// Chunks that came home from other CPUs than that of their zone.
        pub remote_frees,
        /// Messages between CPUs because of such chunks.
        pub notifications,
        /// Wrong frees that were noticed and not carried out.
        pub refused,
    }
}

impl Totals {
    /// Bytes of RAM that the heap has and that are not handed out.
    pub fn waste(&self) -> u64 {
        self.committed.saturating_sub(self.in_use)
    }
}

numbers! {
    /// A size class.
    pub struct Class {
        /// Bytes of a chunk.
        pub size,
        /// Zones of all CPUs.
        pub zones,
        /// Chunks of these.
        pub chunks,
        /// Chunks that are handed out.
        pub in_use,
        /// Free chunks in CPUs' magazines.
        pub at_hand,
    }
}

/// A heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Heap {
    /// As a whole.
    pub totals: Totals,
    /// By size classes, the smallest first.
    pub classes: [Class; CLASSES],
}

impl Default for Heap {
    fn default() -> Self {
        Self {
            totals: Totals::default(),
            classes: [Class::default(); CLASSES],
        }
    }
}

/// A node in numbers, as kernel and program exchange it. While CPUs are at work, the numbers
/// are of slightly different moments.
///
/// Its size is its version: numbers are added at its end only, and the kernel writes no more
/// of it than the program has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Snapshot {
    /// The machine.
    pub node: Node,
    /// The program's heap.
    pub program: Heap,
    /// The kernel's own heap.
    pub kernel: Heap,
}

// What programs were compiled with.
const _: () = assert!(size_of::<Snapshot>() == 8 * (4 + 2 * (8 + 5 * CLASSES)));

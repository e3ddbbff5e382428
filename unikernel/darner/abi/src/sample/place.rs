//! What memory of a program is for.

/// What is at an address of cluster memory, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It is not known.
    #[default]
    Unknown,
    /// A variable of the program; its address in the ELF file.
    Variable(u64),
    /// A part of the heap that is cut into blocks of so many bytes.
    Blocks(u64),
    /// A block of the heap that has pages of its own, so many bytes of them.
    Pages(u64),
    /// The heap, where there is no block.
    FreeHeap,
    /// The stack of the thread with that number.
    Stack(u32),
    /// The thread-local variables of the thread with that number.
    ThreadLocal(u32),
    /// Mapped memory, or the stack of a thread that has ended.
    Mapping,
}

impl Place {
    /// As two numbers: which of all it is, and what there is to it.
    pub fn numbers(self) -> (u64, u64) {
        match self {
            Self::Unknown => (0, 0),
            Self::Variable(address) => (1, address),
            Self::Blocks(bytes) => (2, bytes),
            Self::Pages(bytes) => (3, bytes),
            Self::FreeHeap => (4, 0),
            Self::Stack(thread) => (5, thread.into()),
            Self::ThreadLocal(thread) => (6, thread.into()),
            Self::Mapping => (7, 0),
        }
    }

    /// What [`Self::numbers`] gives these. `None`: it gives none such.
    pub fn of(kind: u64, value: u64) -> Option<Self> {
        let thread = || u32::try_from(value).ok();
        let place = match kind {
            0 => Self::Unknown,
            1 => Self::Variable(value),
            2 => Self::Blocks(value),
            3 => Self::Pages(value),
            4 => Self::FreeHeap,
            5 => Self::Stack(thread()?),
            6 => Self::ThreadLocal(thread()?),
            7 => Self::Mapping,
            _ => return None,
        };
        (place.numbers() == (kind, value)).then_some(place)
    }
}

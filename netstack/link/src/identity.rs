//! Who is at an end of a link.

use core::fmt;

/// What a connection is for. Each has its own session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Channel {
    /// The protocol of coherence, and control.
    Control = 1,
    /// Bulk data.
    Bulk = 2,
}

impl Channel {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Control, Self::Bulk]
            .into_iter()
            .find(|&channel| channel as u8 == byte)
    }
}

/// What a node's processor can do, as far as programs may use it: a thread may have asked one node's
/// processor and go on with another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuFeatures {
    /// The register state that is enabled, as in XCR0.
    pub xcr0: u64,
    /// What CPUID says, in whatever order the kernel has chosen.
    pub cpuid: [u64; 3],
}

impl CpuFeatures {
    /// Each word of these, with the corresponding one of others.
    pub(crate) fn words(&self) -> [u64; 4] {
        let [a, b, c] = self.cpuid;
        [self.xcr0, a, b, c]
    }

    pub(crate) fn of_words([xcr0, a, b, c]: [u64; 4]) -> Self {
        let cpuid = [a, b, c];
        Self { xcr0, cpuid }
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let (ours, others) = (self.words(), other.words());
        Self::of_words(core::array::from_fn(|word| ours[word] & !others[word]))
    }
}

/// All words in hexadecimal, XCR0 first.
impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.cpuid;
        write!(f, "{:x}:{a:x}:{b:x}:{c:x}", self.xcr0)
    }
}

/// What a node says of itself on every link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub node: u16,
    /// Which of the machines that have ever had this number it is: a random number of
    /// each boot.
    pub incarnation: u64,
    /// How many nodes there are.
    pub cluster_size: u16,
    /// How many CPUs it has.
    pub cpus: u16,
    /// A hash of its image: kernel, program and all.
    pub image: [u8; 32],
    /// What its processor can do.
    pub features: CpuFeatures,
}

/// The node at the other end: it has the key, the same image and as good a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub node: u16,
    /// Which of the machines that have had this number it is.
    pub incarnation: u64,
    /// What the link is for.
    pub channel: Channel,
    /// How many CPUs it has.
    pub cpus: u16,
    /// When it said so, by its clock (monotonic ns).
    pub time: u64,
}

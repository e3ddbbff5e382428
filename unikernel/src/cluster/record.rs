//! Calls between nodes, as they are on the wire: records of a fixed length.
//!
//! What is longer than a few words is not carried: it is in cluster memory, where the other
//! node finds it.

/// The operands of a call, or its results.
pub type Words = [u64; 8];

/// These, and zeros behind them.
pub fn words<const COUNT: usize>(first: [u64; COUNT]) -> Words {
    let mut words = Words::default();
    words[..COUNT].copy_from_slice(&first);
    words
}

/// Bytes of a record.
pub const BYTES: usize = 80;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// The answer to a call.
    Answer = 0,
    /// Start a thread: entry, argument, priority, bytes of stack. Its number, or 0.
    Spawn = 1,
    /// Wait for the end of a thread: its number.
    Join = 2,
    /// Do a call of the program: the function, six arguments. The result, the error number.
    Delegate = 3,
    /// A thread is about to wait for a word: its address, the ticket.
    FutexWait = 4,
    /// It does not, or no more: address, ticket. 1 if it still waited, or 0: it was woken.
    FutexCancel = 5,
    /// Wake threads that wait for a word: its address, how many at most. How many were.
    FutexWake = 6,
    /// A thread is woken: its ticket.
    FutexWoken = 7,
    /// Memory is freed: address, size, alignment.
    Free = 8,
    /// A thread has begun, of which the first node has not heard: its number.
    Began = 9,
    /// A thread has ended: its number.
    Ended = 10,
    /// The program has ended on the sender, which is not the first: its status.
    Over = 11,
    /// Answer with as many bytes as a page has.
    Echo = 12,
    /// Drain. 0, or why not.
    Drain = 13,
    /// The sender leaves: all that it had to say came before, and nothing of the program is there. Answered when nothing is missed.
    Departs = 14,
    /// Say what is at an address of your slice: the address. The two numbers of a place.
    Place = 30,
    /// Tell what you have counted: the place of the first of eight numbers. The numbers.
    Statistics = 31,
}

/// A call, or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// The call's number, of those of the node that made it; 0: no answer is wanted.
    pub call: u64,
    /// Operands or results.
    pub words: Words,
}

impl Record {
    /// As it is on the wire: the kind, the call and the words, eight bytes each, little-endian.
    pub fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let Self { kind, call, words } = *self;
        let words = [kind as u64, call].into_iter().chain(words);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What was sent. `None`: there is no such kind.
    pub fn decode(bytes: &[u8; BYTES]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|word| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            u64::from_le_bytes(bytes)
        });
        let mut next = || words.next().unwrap_or(0);
        let kind = match next() {
            0 => Kind::Answer,
            1 => Kind::Spawn,
            2 => Kind::Join,
            3 => Kind::Delegate,
            4 => Kind::FutexWait,
            5 => Kind::FutexCancel,
            6 => Kind::FutexWake,
            7 => Kind::FutexWoken,
            8 => Kind::Free,
            9 => Kind::Began,
            10 => Kind::Ended,
            11 => Kind::Over,
            12 => Kind::Echo,
            13 => Kind::Drain,
            14 => Kind::Departs,
            30 => Kind::Place,
            31 => Kind::Statistics,
            _ => return None,
        };
        let call = next();
        let words = core::array::from_fn(|_| next());
        Some(Self { kind, call, words })
    }
}

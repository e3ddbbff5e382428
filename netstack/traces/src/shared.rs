//! Arrays in shared memory.

use std::marker::PhantomData;

/// The size of a page.
pub const PAGE_BYTES: usize = 4096;

/// A page's bytes.
pub type Page = [u8; PAGE_BYTES];

/// A page of zeros.
pub(crate) fn zeros() -> Box<Page> {
    Box::new([0; PAGE_BYTES])
}

/// What an array can be made of.
pub trait Word: Copy + Default + 'static {
    /// Its size in bytes, a divisor of [`PAGE_BYTES`].
    const BYTES: usize;

    /// From its bytes.
    fn load(bytes: &[u8]) -> Self;

    /// To its bytes.
    fn store(self, bytes: &mut [u8]);
}

macro_rules! words {
    ($($word:ty)*) => {$(
        impl Word for $word {
            const BYTES: usize = size_of::<$word>();

            fn load(bytes: &[u8]) -> Self {
                let mut own = [0; size_of::<$word>()];
                own.copy_from_slice(bytes);
                Self::from_le_bytes(own)
            }

            fn store(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

words!(u32 u64 f32 f64);

/// An array in shared memory. It begins with a page.
#[derive(Clone, Copy, Debug)]
pub struct Array<T> {
    first: u64,
    words: usize,
    of: PhantomData<T>,
}

impl<T: Word> Array<T> {
    const PER_PAGE: usize = PAGE_BYTES / T::BYTES;

    /// How many words it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// The parts of `start` and `len` words that lie on one page each: page, byte on it, words.
    pub(crate) fn parts(
        self,
        start: usize,
        len: usize,
    ) -> impl Iterator<Item = (u64, usize, usize)> {
        assert!(
            start + len <= self.words,
            "words {start}..{} of {}",
            start + len,
            self.words
        );
        let mut at = start;
        std::iter::from_fn(move || {
            (at < start + len).then(|| {
                let on_page = at % Self::PER_PAGE;
                let words = (Self::PER_PAGE - on_page).min(start + len - at);
                let part = (
                    self.first + (at / Self::PER_PAGE) as u64,
                    on_page * T::BYTES,
                    words,
                );
                at += words;
                part
            })
        })
    }
}

/// Which arrays there are, and whom a program that knows names as their pages' homes.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    homes: Vec<usize>,
}

impl Layout {
    /// An array of `words` words; `home` names the home of the page that begins with a word.
    pub fn array<T: Word>(&mut self, words: usize, home: impl Fn(usize) -> usize) -> Array<T> {
        let first = self.homes.len() as u64;
        let per_page = PAGE_BYTES / T::BYTES;
        self.homes.extend((0..words).step_by(per_page).map(home));
        Array {
            first,
            words,
            of: PhantomData,
        }
    }

    /// How many pages there are.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.homes.len()
    }

    /// The home of each page, as the program names it.
    #[must_use]
    pub fn homes(&self) -> &[usize] {
        &self.homes
    }
}

//! The size classes: 8-byte steps up to 128, then 8 for every doubling, up to 16 KiB.
//!
//! A request is named by its *mask*, `(size - 1) | (align - 1)`: one less than the size
//! rounded up to the alignment. The size of its class is a multiple of the alignment: an
//! alignment of at least the step makes the rounded size a class by itself, and smaller
//! ones divide the step. So chunks that follow each other from an aligned start are aligned.

use core::alloc::Layout;

use crate::unit::{CHUNKS_MOST, UNIT};

/// How many classes there are.
pub const CLASSES: usize = 72;
/// The largest size of a class, in bytes.
pub const LARGEST: usize = 16 << 10;
/// The least size between which classes are [`STEP`] bytes apart.
const STEPPED: usize = 128;
/// Distance of the smallest classes, in bytes.
pub(crate) const STEP: usize = 8;
/// Classes of each doubling.
const PER_DOUBLING: usize = 8;
/// Entries of the table that each owner has: one for each 8 bytes.
pub const ENTRIES: usize = LARGEST / STEP;
/// A zone has at least so many chunks.
const CHUNKS_LEAST: usize = 16;
/// What the starts of zones of one class may differ by, in bytes, for the colouring.
const COLOURED: usize = 512;
/// Colours are at least this far apart: a cache line.
const LINE: usize = 64;
/// A magazine holds no more bytes than this in chunks, unless they are too few.
const CACHED: usize = 64 << 10;
/// Bounds of the number of chunks that a magazine may hold.
const MAGAZINE: (usize, usize) = (8, 64);

/// What is fixed of a class.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Bytes of a chunk.
    pub size: u32,
    /// 2^32 over the size, rounded up: a division that needs none.
    reciprocal: u32,
    /// Chunks of a zone.
    pub chunks: u16,
    /// Units of a zone.
    pub units: u8,
    /// Different starts of zones.
    pub colours: u8,
    /// Bytes between them.
    pub colour_step: u16,
    /// The most chunks that a magazine holds.
    pub magazine: u8,
}

impl Class {
    const fn new(class: usize) -> Self {
        let size = size_of_class(class);
        let units = (CHUNKS_LEAST * size).div_ceil(UNIT);
        let natural = 1 << size.trailing_zeros();
        let step = if natural > LINE { natural } else { LINE };
        // Whole chunks are given up for colours only where they are small.
        let room = if size <= COLOURED { COLOURED } else { 0 };
        let fitting = (units * UNIT - room) / size;
        let chunks = if fitting > CHUNKS_MOST {
            CHUNKS_MOST
        } else {
            fitting
        };
        let slack = units * UNIT - chunks * size;
        let slack = if slack > COLOURED { COLOURED } else { slack };
        let cached = CACHED / size;
        let magazine = if cached < MAGAZINE.0 {
            MAGAZINE.0
        } else if cached > MAGAZINE.1 {
            MAGAZINE.1
        } else {
            cached
        };
        Self {
            size: size as u32,
            reciprocal: (1u64 << 32).div_ceil(size as u64) as u32,
            chunks: chunks as u16,
            units: units as u8,
            colours: (slack / step + 1) as u8,
            colour_step: step as u16,
            magazine: magazine as u8,
        }
    }

    /// The number of the chunk that starts `offset` bytes behind the first, if one does.
    #[inline(always)]
    pub fn chunk_at(&self, offset: usize) -> Option<usize> {
        // Exact for offsets below 2^18 and sizes up to 2^14; for others the comparison fails.
        let chunk = (offset as u64).wrapping_mul(u64::from(self.reciprocal)) >> 32;
        let exact = chunk * u64::from(self.size) == offset as u64;
        (exact && chunk < u64::from(self.chunks)).then_some(chunk as usize)
    }
}

/// All classes.
pub static TABLE: [Class; CLASSES] = {
    let mut table = [Class::new(0); CLASSES];
    let mut class = 0;
    while class < CLASSES {
        table[class] = Class::new(class);
        class += 1;
    }
    table
};

/// Bytes of a chunk of `class`.
const fn size_of_class(class: usize) -> usize {
    let linear = STEPPED / STEP;
    if class < linear {
        return (class + 1) * STEP;
    }
    let doubling = (class - linear) / PER_DOUBLING;
    let within = (class - linear) % PER_DOUBLING;
    (PER_DOUBLING + within + 1) << (doubling + 4)
}

const fn computed(mask: usize) -> usize {
    if mask < STEPPED {
        return mask / STEP;
    }
    let log = mask.ilog2() as usize;
    let doubling = log - STEPPED.ilog2() as usize;
    STEPPED / STEP + doubling * PER_DOUBLING + (mask >> (log - 3)) - PER_DOUBLING
}

/// One less than the layout's size rounded up to its alignment; `usize::MAX` for size 0.
#[inline(always)]
pub const fn mask(layout: Layout) -> usize {
    layout.size().wrapping_sub(1) | (layout.align() - 1)
}

/// Where the class of a mask is in a table, if there.
#[inline(always)]
pub const fn entry(mask: usize) -> Option<usize> {
    if mask < LARGEST {
        Some(mask / STEP)
    } else {
        None
    }
}

/// The class of a table's entry.
pub const fn of_entry(entry: usize) -> usize {
    computed(entry * STEP)
}

/// The class of a mask, or none for one that no class is large enough for.
#[inline]
pub fn of(mask: usize) -> Option<usize> {
    (mask < LARGEST).then(|| computed(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_reference() {
        let sizes: Vec<usize> = TABLE.iter().map(|class| class.size as usize).collect();
        let linear = (1..=16).map(|n| n * 8);
        let doubling = (0..7).flat_map(|d| (9..=16).map(move |n| n << (d + 4)));
        assert_eq!(sizes, linear.chain(doubling).collect::<Vec<_>>());
        assert_eq!(*sizes.last().unwrap(), LARGEST);
    }

    #[test]
    fn every_size_is_in_the_smallest_class_that_fits() {
        for size in 1..=LARGEST {
            let class = of(size - 1).unwrap();
            assert!(TABLE[class].size as usize >= size);
            assert!(class == 0 || (TABLE[class - 1].size as usize) < size);
            assert_eq!(entry(size - 1).map(of_entry), Some(class));
        }
        assert_eq!(of(LARGEST), None);
        assert_eq!(entry(LARGEST), None);
        assert_eq!(entry(usize::MAX), None);
    }

    #[test]
    fn chunks_are_aligned_as_asked() {
        for align in (0..=14).map(|log| 1usize << log) {
            for size in 1..=LARGEST {
                let layout = Layout::from_size_align(size, align).unwrap();
                if let Some(class) = of(mask(layout)) {
                    let class = &TABLE[class];
                    assert_eq!(class.size as usize % align, 0, "{layout:?}");
                    assert!(
                        class.colours == 1 || usize::from(class.colour_step).is_multiple_of(align)
                    );
                }
            }
        }
    }

    #[test]
    fn zones_hold_their_chunks_in_every_colour() {
        for class in &TABLE {
            let size = class.size as usize;
            let last = usize::from(class.colours - 1) * usize::from(class.colour_step);
            assert!(last + usize::from(class.chunks) * size <= usize::from(class.units) * UNIT);
            assert!(usize::from(class.chunks) >= CHUNKS_LEAST);
        }
    }

    #[test]
    fn only_starts_of_chunks_are_chunks() {
        for class in &TABLE {
            let size = class.size as usize;
            for chunk in 0..usize::from(class.chunks) {
                assert_eq!(class.chunk_at(chunk * size), Some(chunk));
                for inside in [1, size / 2, size - 1] {
                    assert_eq!(class.chunk_at(chunk * size + inside), None);
                }
            }
            assert_eq!(class.chunk_at(usize::from(class.chunks) * size), None);
        }
    }
}

//! Fork and join: halves that may be done by two threads, and their halves by more.

use crate::{Outcome, Size};

/// In how many ways as many queens as there are rows stand so that none threatens another.
const WAYS: [u64; 17] = [
    1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14_200, 73_712, 365_596, 2_279_184, 14_772_512,
];

/// Counts the ways.
pub fn queens(size: Size) -> Outcome {
    let board = Board {
        rows: size.queens,
        ..Board::default()
    };
    let (ways, known) = (board.ways(), WAYS[size.queens as usize]);
    match ways == known {
        true => Ok(format!("{} queens in {ways} ways", size.queens)),
        false => Err(format!("found {ways} ways, expected {known}")),
    }
}

/// Some rows have their queens.
#[derive(Clone, Copy, Default)]
struct Board {
    rows: u32,
    done: u32,
    /// Bits: columns that are taken, and those that are along a diagonal.
    columns: u32,
    left: u32,
    right: u32,
}

impl Board {
    fn ways(self) -> u64 {
        if self.done == self.rows {
            return 1;
        }
        let all = (1 << self.rows) - 1;
        self.ways_with(all & !(self.columns | self.left | self.right))
    }

    /// The ways with the next queen in one of these columns.
    fn ways_with(self, columns: u32) -> u64 {
        match columns.count_ones() {
            0 => 0,
            1 => self.with(columns).ways(),
            _ => {
                let first = columns & columns.wrapping_neg();
                let (a, b) = rayon::join(
                    || self.with(first).ways(),
                    || self.ways_with(columns & !first),
                );
                a + b
            }
        }
    }

    fn with(self, column: u32) -> Self {
        Self {
            done: self.done + 1,
            columns: self.columns | column,
            left: (self.left | column) << 1,
            right: (self.right | column) >> 1,
            ..self
        }
    }
}

//! All programs, by size.

use crate::darner::Placement;
use crate::measure::{Measured, measure_darner, measure_scope};
use crate::programs::{
    Ep, FalseSharing, IntegerSort, KMeans, Lu, MatMul, Program, Sor, Tsp, Water,
};
use crate::scope::Homes;

/// How large the inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As for a test: a second for all.
    Small,
    /// As in the literature.
    Full,
}

/// A program's cost over both memories.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its name.
    pub program: &'static str,
    /// Its input, in words.
    pub input: String,
    /// Over Darner's memory, nothing known of its pages.
    pub ours: Measured,
    /// Over Darner's memory, with homes where the program says.
    pub ours_placed: Measured,
    /// Over the scope-consistency DSM, homes where the program says.
    pub theirs: Measured,
    /// The same, with homes that move to whom alone wrote.
    pub theirs_moving: Measured,
}

impl Compared {
    fn of<P: Program>(program: &P, nodes: usize) -> Result<Self, String> {
        let tell = |error| format!("{} on {nodes} nodes: {error}", P::NAME);
        Ok(Self {
            program: P::NAME,
            input: program.input(),
            ours: measure_darner(program, nodes, Placement::Unknown).map_err(tell)?,
            ours_placed: measure_darner(program, nodes, Placement::Named).map_err(tell)?,
            theirs: measure_scope(program, nodes, Homes::Stay).map_err(tell)?,
            theirs_moving: measure_scope(program, nodes, Homes::Move).map_err(tell)?,
        })
    }

    /// The peer at its best.
    #[must_use]
    pub fn best_of_theirs(&self) -> Measured {
        if self.theirs_moving.counts.messages < self.theirs.counts.messages {
            self.theirs_moving
        } else {
            self.theirs
        }
    }

    /// How many of our messages there are to one of theirs.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ours.counts.messages as f64 / self.best_of_theirs().counts.messages as f64
    }
}

/// The names of all programs; the first four are those of the literature.
pub const PROGRAMS: [&str; 9] = [
    Sor::NAME,
    IntegerSort::NAME,
    Lu::NAME,
    Ep::NAME,
    MatMul::NAME,
    Water::NAME,
    KMeans::NAME,
    Tsp::NAME,
    FalseSharing::NAME,
];

/// Runs a program over both memories.
///
/// # Errors
///
/// What is wrong with its result, or that there is no such program.
pub fn compare(program: &str, nodes: usize, size: Size) -> Result<Compared, String> {
    let pick = |small: usize, full: usize| match size {
        Size::Small => small,
        Size::Full => full,
    };
    match program {
        Sor::NAME => {
            let sor = Sor::new(nodes, pick(32, 256), 2048, pick(12, 100));
            Compared::of(&sor, nodes)
        }
        IntegerSort::NAME => {
            let (keys, buckets) = (pick(1 << 14, 1 << 20), pick(1 << 13, 1 << 15));
            let sort = IntegerSort::new(nodes, keys, buckets, pick(4, 10));
            Compared::of(&sort, nodes)
        }
        Lu::NAME => Compared::of(&Lu::new(nodes, pick(256, 1024), 32), nodes),
        Ep::NAME => Compared::of(&Ep::new(nodes, pick(1 << 12, 1 << 20)), nodes),
        MatMul::NAME => Compared::of(&MatMul::new(nodes, pick(128, 256)), nodes),
        Water::NAME => Compared::of(&Water::new(nodes, pick(512, 1728), pick(4, 10)), nodes),
        KMeans::NAME => {
            let means = KMeans::new(nodes, pick(1 << 10, 1 << 14), 64, pick(6, 20));
            Compared::of(&means, nodes)
        }
        Tsp::NAME => Compared::of(&Tsp::new(pick(9, 12)), nodes),
        FalseSharing::NAME => Compared::of(&FalseSharing::new(nodes, 4, pick(6, 20)), nodes),
        other => Err(format!(
            "found no program `{other}`, expected one of: {}",
            PROGRAMS.join(", ")
        )),
    }
}

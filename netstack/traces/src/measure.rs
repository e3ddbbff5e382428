//! Measuring a program over one memory or the other.

use crate::darner::{Darner, Placement};
use crate::engine::{Run, run};
use crate::programs::Program;
use crate::scope::{Homes, Scope};

/// What a program cost.
pub type Measured = Run;

/// What a program costs over Darner's memory.
///
/// # Errors
///
/// What is wrong with its result.
pub fn measure_darner<P: Program>(
    program: &P,
    nodes: usize,
    placement: Placement,
) -> Result<Measured, String> {
    run(
        Darner::new(nodes, program.layout(), placement),
        program,
        nodes,
    )
}

/// What a program costs over the scope-consistency DSM.
///
/// # Errors
///
/// What is wrong with its result.
pub fn measure_scope<P: Program>(
    program: &P,
    nodes: usize,
    homes: Homes,
) -> Result<Measured, String> {
    run(Scope::new(nodes, program.layout(), homes), program, nodes)
}

//! What is done to one block: arithmetic, always in the same order.

/// Factors a block in its place.
pub fn factor(block: &mut [f64], side: usize) {
    for step in 0..side {
        for row in step + 1..side {
            let factor = block[row * side + step] / block[step * side + step];
            block[row * side + step] = factor;
            subtract_row(block, side, row, step, factor, step + 1);
        }
    }
}

/// Takes `factor` times one row from another, from a column on.
fn subtract_row(block: &mut [f64], side: usize, row: usize, step: usize, factor: f64, from: usize) {
    for column in from..side {
        block[row * side + column] -= factor * block[step * side + column];
    }
}

/// Divides a block to the right of the diagonal by the diagonal's lower triangle.
pub fn divide_lower(block: &mut [f64], diagonal: &[f64], side: usize) {
    for step in 0..side {
        for row in step + 1..side {
            let factor = diagonal[row * side + step];
            subtract_row(block, side, row, step, factor, 0);
        }
    }
}

/// Divides a block below the diagonal by the diagonal's upper triangle.
pub fn divide_upper(block: &mut [f64], diagonal: &[f64], side: usize) {
    for row in block.chunks_exact_mut(side) {
        for step in 0..side {
            row[step] /= diagonal[step * side + step];
            for column in step + 1..side {
                row[column] -= row[step] * diagonal[step * side + column];
            }
        }
    }
}

/// Takes the product of two blocks from a third.
pub fn subtract_product(block: &mut [f64], left: &[f64], above: &[f64], side: usize) {
    for (row, factors) in block.chunks_exact_mut(side).zip(left.chunks_exact(side)) {
        for (factor, other) in factors.iter().zip(above.chunks_exact(side)) {
            for (number, other) in row.iter_mut().zip(other) {
                *number -= factor * other;
            }
        }
    }
}

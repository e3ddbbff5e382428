//! Square matrices.

/// A square matrix, row after row.
pub struct Matrix {
    /// How many rows it has, and columns.
    pub size: usize,
    /// All its cells.
    pub cells: Vec<f64>,
}

impl Matrix {
    /// All cells are 0.
    pub fn zero(size: usize) -> Self {
        Self {
            size,
            cells: vec![0.0; size * size],
        }
    }

    /// The cells are whole numbers from -8 to 8.
    pub fn random(size: usize, random: &mut fastrand::Rng) -> Self {
        Self {
            size,
            cells: (0..size * size)
                .map(|_| random.i32(-8..=8).into())
                .collect(),
        }
    }

    /// The row of that number.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.cells[row * self.size..][..self.size]
    }

    /// Where it maps a vector.
    pub fn apply(&self, vector: &[f64]) -> Vec<f64> {
        let cell = |row| self.row(row).iter().zip(vector).map(|(a, b)| a * b).sum();
        (0..self.size).map(cell).collect()
    }
}

//! The picture: computing it, and showing it in several forms.

use std::fmt;

use parallel::Checksum;

/// The number of steps after which a point counts as inside the set.
const LIMIT: u8 = 255;

/// Columns and characters of the drawing in the terminal, from far to inside.
const COLUMNS: usize = 78;
const SHADES: &[u8] = b" .:-=+*%#@";

/// For each point the number of steps after which it escaped.
pub struct Picture {
    width: usize,
    steps: Vec<u8>,
}

/// The height of a picture `width` wide.
fn height_of(width: usize) -> usize {
    width * 2 / 3
}

/// Computes row `y` of a picture `width` wide, which shows the real numbers
/// from -2.1 to 0.9 and the imaginary ones from -1 to 1.
pub fn row(width: usize, y: usize) -> Vec<u8> {
    let scale = 3.0 / width as f64;
    let im = (y as f64 + 0.5) * scale - 1.0;
    (0..width)
        .map(|x| escape((x as f64 + 0.5) * scale - 2.1, im))
        .collect()
}

/// The number of steps of z ← z² + c, from zero, until z is further than 2 away.
fn escape(re: f64, im: f64) -> u8 {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for step in 0..LIMIT {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > 4.0 {
            return step;
        }
        y = 2.0 * x * y + im;
        x = xx - yy + re;
    }
    LIMIT
}

impl Picture {
    /// A blank picture `width` wide.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            steps: vec![0; width * height_of(width)],
        }
    }

    /// The number of rows.
    pub fn height(&self) -> usize {
        height_of(self.width)
    }

    /// Puts row `y` in its place.
    pub fn set_row(&mut self, y: usize, row: &[u8]) {
        self.steps[y * self.width..][..self.width].copy_from_slice(row);
    }

    /// A number that changes with every point.
    pub fn checksum(&self) -> Checksum {
        Checksum::new().with(&self.steps)
    }

    /// The picture as a colour PPM file.
    pub fn to_ppm(&self) -> Vec<u8> {
        let mut file = format!("P6\n{} {}\n255\n", self.width, self.height()).into_bytes();
        for &step in &self.steps {
            let colour = if step == LIMIT {
                [0, 0, 0]
            } else {
                [
                    step.saturating_mul(3),
                    step.saturating_mul(8),
                    80_u8.saturating_add(step.saturating_mul(12)),
                ]
            };
            file.extend(colour);
        }
        file
    }
}

/// Draws with characters, twice as high as wide: every other row is left out.
impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = COLUMNS.min(self.width);
        let rows = height_of(columns) / 2;
        for row in 0..rows {
            let y = row * self.height() / rows;
            let line: String = (0..columns)
                .map(|column| {
                    let steps = self.steps[y * self.width + column * self.width / columns];
                    // Most points escape soon: the logarithm spreads those.
                    let shade = (f64::from(steps) + 1.0).ln() / 256.0_f64.ln();
                    char::from(SHADES[(shade * (SHADES.len() - 1) as f64) as usize])
                })
                .collect();
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_escape_or_stay() {
        assert_eq!(escape(0.0, 0.0), LIMIT);
        assert_eq!(escape(-1.0, 0.0), LIMIT);
        assert_eq!(escape(2.0, 2.0), 1);
    }

    #[test]
    fn a_ppm_has_three_bytes_a_point() {
        let picture = Picture::new(30);
        let file = picture.to_ppm();
        assert!(file.starts_with(b"P6\n30 20\n255\n"));
        assert_eq!(file.len(), 13 + 30 * 20 * 3);
    }
}

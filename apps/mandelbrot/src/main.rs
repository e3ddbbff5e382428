//! Draws the Mandelbrot set with one thread per CPU.
//!
//! ```text
//! cargo xtask run --smp 4 mandelbrot
//! cargo xtask run --smp 4 mandelbrot -- --size 400 --out /set.ppm
//! ```
//!
//! The last line is a checksum of the picture: any number of CPUs must give the
//! same one.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(target_os = "hermit")]
use hermit as _;

mod picture;

use parallel::Arguments;
use picture::Picture;

struct Options {
    threads: usize,
    /// Width of the picture in points; the height is two thirds of it.
    size: usize,
    /// Where the picture goes as a PPM file, if anywhere.
    out: Option<String>,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            size: given.number("size", "width in points", 240, 16..=8192),
            out: given.text("out", "a file for the picture, as PPM"),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("mandelbrot", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options { threads, size, out } = options;
    let picture = parallel::timed("drawn", threads, || draw(size, threads));
    print!("{picture}");
    if let Some(path) = out {
        let written = std::fs::write(&path, picture.to_ppm());
        written.map_err(|error| format!("cannot write {path}: {error}"))?;
        println!("wrote {path}");
    }
    println!("{}", picture.checksum());
    Ok(())
}

/// Draws a picture `size` wide. Each thread takes undrawn rows until none is left, so that no CPU waits
/// for another that got the harder ones: a share of those that are left, so many at first and one at a time in
/// the end (guided self-scheduling, Polychronopoulos and Kuck, 1987). Were it always one, the counter would go
/// from machine to machine for each.
fn draw(size: usize, threads: usize) -> Picture {
    let mut picture = Picture::new(size);
    let height = picture.height();
    let next = AtomicUsize::new(0);
    let share = |left: usize| left.div_ceil(2 * threads);
    let after = |row| (row < height).then(|| row + share(height - row));
    let rows = parallel::team(threads, |_| {
        let mut mine = Vec::new();
        while let Ok(first) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after) {
            let rows = first..first + share(height - first);
            mine.extend(rows.map(|y| (y, picture::row(size, y))));
        }
        mine
    });
    for (y, row) in rows.into_iter().flatten() {
        picture.set_row(y, &row);
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_draws_the_same() {
        let one = draw(64, 1).checksum();
        for threads in 2..8 {
            assert_eq!(draw(64, threads).checksum(), one, "{threads} threads");
        }
    }
}

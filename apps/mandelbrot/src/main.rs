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
use std::time::Instant;

#[cfg(target_os = "hermit")]
use hermit as _;

mod options;
mod picture;

use options::Options;
use picture::Picture;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("mandelbrot: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let threads = options
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));

    eprintln!("drawing with {threads} thread(s)");
    let begin = Instant::now();
    let picture = draw(options.size, threads);
    let time = begin.elapsed();

    print!("{picture}");
    if let Some(path) = &options.out {
        if let Err(error) = std::fs::write(path, picture.to_ppm()) {
            eprintln!("mandelbrot: cannot write {path}: {error}");
            return ExitCode::FAILURE;
        }
        println!("wrote {path}");
    }
    eprintln!("drawn in {} ms", time.as_millis());
    println!("checksum {:016x}", picture.checksum());
    ExitCode::SUCCESS
}

/// Draws a picture `size` wide. Each thread takes the next undrawn row until none
/// is left, so that no CPU waits for another that got the harder rows.
fn draw(size: usize, threads: usize) -> Picture {
    let mut picture = Picture::new(size);
    let height = picture.height();
    let next = AtomicUsize::new(0);
    let rows: Vec<(usize, Vec<u8>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let y = next.fetch_add(1, Ordering::Relaxed);
                        if y >= height {
                            return mine;
                        }
                        mine.push((y, picture::row(size, y)));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("drawing does not panic"))
            .collect()
    });
    for (y, row) in rows {
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

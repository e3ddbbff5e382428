//! The first program: says hello, and what it finds itself on.
//!
//! ```text
//! cargo xtask run hello
//! cargo xtask run --smp 4 hello -- dear reader
//! ```

// Links the kernel into the program. On Linux it is an ordinary program.
#[cfg(target_os = "hermit")]
use hermit as _;

fn main() {
    println!("Hello from Darner!");

    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.is_empty() {
        println!("You said: {}", words.join(" "));
    }

    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..cpus)
        .map(|number| std::thread::spawn(move || number * number))
        .collect();
    let squares: Vec<usize> = threads
        .into_iter()
        .map(|thread| thread.join().expect("squaring does not panic"))
        .collect();
    println!("{cpus} CPUs, one thread each: {squares:?}");
}

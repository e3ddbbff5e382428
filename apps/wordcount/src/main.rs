//! Counts the words of a text file with one thread per CPU.
//!
//! ```text
//! cargo xtask run --smp 4 --file README.md:/book.txt wordcount -- /book.txt
//! ```

use std::collections::HashMap;
use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

/// How many of the most frequent words are shown.
const SHOWN: usize = 10;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(path), None) = (args.next(), args.next()) else {
        eprintln!("usage: wordcount FILE");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("wordcount: cannot read {path}: {error}");
            return ExitCode::FAILURE;
        }
    };

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = count(&text, threads);
    let total: usize = counts.values().sum();
    println!(
        "{} lines, {total} words, {} different",
        text.lines().count(),
        counts.len()
    );

    let mut ranking: Vec<_> = counts.into_iter().collect();
    // Alphabetical among equals, so that every run prints the same.
    ranking.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    for (word, number) in ranking.into_iter().take(SHOWN) {
        println!("{number:>8} {word}");
    }
    ExitCode::SUCCESS
}

/// How often each word occurs, counted by `threads` threads.
fn count(text: &str, threads: usize) -> HashMap<String, usize> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = split(text, threads)
            .into_iter()
            .map(|part| scope.spawn(move || count_part(part)))
            .collect();
        let mut total = HashMap::new();
        for worker in workers {
            for (word, number) in worker.join().expect("counting does not panic") {
                *total.entry(word).or_default() += number;
            }
        }
        total
    })
}

/// How often each word occurs. A word is a run of letters, in any case.
fn count_part(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
    {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

/// Cuts `text` into `parts` pieces of about equal size, between words only.
fn split(text: &str, parts: usize) -> Vec<&str> {
    let size = text.len().div_ceil(parts);
    let mut rest = text;
    let mut pieces = Vec::new();
    while rest.len() > size {
        let near = rest.ceil_char_boundary(size);
        let cut = rest[near..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |more| near + more);
        let (piece, remainder) = rest.split_at(cut);
        pieces.push(piece);
        rest = remainder;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "The cat — the CAT! Über alles\nthe end, no? 3 cats";

    #[test]
    fn counts_words_in_any_case() {
        let counts = count_part(TEXT);
        assert_eq!(counts["the"], 3);
        assert_eq!(counts["cat"], 2);
        assert_eq!(counts["über"], 1);
        assert!(!counts.contains_key("3"));
    }

    #[test]
    fn any_number_of_threads_counts_the_same() {
        let text = TEXT.repeat(20);
        for threads in 1..=40 {
            assert_eq!(
                count(&text, threads),
                count_part(&text),
                "{threads} threads"
            );
            assert_eq!(split(&text, threads).concat(), text);
        }
    }
}

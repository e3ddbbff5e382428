//! Read-write locks: a book of several pages, which is rewritten as a whole. Readers never see half
//! of an edition, nor an older one than before, and none is there while it is written.

use std::sync::RwLock;
use std::sync::atomic::{AtomicIsize, Ordering};

use crate::{Load, Outcome, all};

/// Words of the book: three pages of memory and a little.
const WORDS: usize = 3 * 512 + 17;
/// Of so many turns one writes.
const WRITES: usize = 5;

struct Book {
    words: RwLock<Vec<u64>>,
    /// How many read, or -1 while one writes.
    inside: AtomicIsize,
}

/// Reads, and some writes.
pub fn run(load: Load) -> Outcome {
    let book = Book {
        words: RwLock::new(vec![0; WORDS]),
        inside: AtomicIsize::new(0),
    };
    all(parallel::team(load.threads, |me| {
        let mut seen = 0;
        for turn in parallel::share(load.turns, load.threads, me) {
            seen = match turn % WRITES {
                0 => book.write(seen)?,
                _ => book.read(seen)?,
            };
        }
        Ok(())
    }))?;
    let (edition, written) = (book.read(0)?, load.turns.div_ceil(WRITES) as u64);
    match edition == written {
        true => Ok(format!(
            "{} turns, {edition} editions, each seen whole",
            load.turns
        )),
        false => Err(format!("found edition {edition}, expected {written}")),
    }
}

impl Book {
    /// Reads all of it; the edition.
    fn read(&self, seen: u64) -> Result<u64, String> {
        let words = self.words.read().map_err(|_| "the lock is poisoned")?;
        let others = self.inside.fetch_add(1, Ordering::Relaxed);
        let edition = edition(&words, seen);
        self.inside.fetch_sub(1, Ordering::Relaxed);
        match others {
            0.. => edition,
            _ => Err("a reader came in while another wrote".into()),
        }
    }

    /// Writes the next edition.
    fn write(&self, seen: u64) -> Result<u64, String> {
        let mut words = self.words.write().map_err(|_| "the lock is poisoned")?;
        let others = self.inside.swap(-1, Ordering::Relaxed);
        let next = edition(&words, seen)? + 1;
        words.fill(next);
        self.inside.store(0, Ordering::Relaxed);
        match others {
            0 => Ok(next),
            _ => Err(format!("a writer came in while {others} were inside")),
        }
    }
}

/// The edition that all words are of, which must not be older than `seen`.
fn edition(words: &[u64], seen: u64) -> Result<u64, String> {
    let edition = words[0];
    if let Some(at) = words.iter().position(|&word| word != edition) {
        let other = words[at];
        return Err(format!(
            "found edition {edition} at word 0 and {other} at word {at}"
        ));
    }
    match edition >= seen {
        true => Ok(edition),
        false => Err(format!("found edition {edition} after {seen}")),
    }
}

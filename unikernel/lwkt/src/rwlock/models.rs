//! What loom tries in all orders. Data under the lock is a cell that loom watches: a
//! use beside a writer's fails the model, as does a thread that waits for ever.

use super::RwLock as Generic;
use crate::test_machine::{Arc, Threads, leave, model, thread};

type RwLock<T> = Generic<Threads, T>;

/// Runs each of `users` in a thread with the lock, and checks that it is free then.
fn with_lock(users: &[fn(&RwLock<u32>)]) -> u32 {
    let lock = Arc::new(RwLock::new(0));
    let threads: Vec<_> = users
        .iter()
        .map(|&user| {
            let lock = lock.clone();
            thread::spawn(move || user(&lock))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(lock.raw.is_free());
    // Named, to let go of the lock before it ends.
    let guard = lock.try_read().expect("free");
    *guard
}

fn write(lock: &RwLock<u32>) {
    *lock.write(&leave()) += 1;
}

fn read(lock: &RwLock<u32>) {
    let guard = lock.read(&leave());
    let before = *guard;
    assert_eq!(*guard, before);
}

fn write_in_time(lock: &RwLock<u32>) {
    if let Ok(mut guard) = lock.write_until(&leave(), 1) {
        *guard += 10;
    }
}

fn read_in_time(lock: &RwLock<u32>) {
    if let Ok(guard) = lock.read_until(&leave(), 1) {
        let before = *guard;
        assert_eq!(*guard, before);
    }
}

#[test]
fn two_writers() {
    model(5, || {
        let twice: fn(&RwLock<u32>) = |lock| {
            write(lock);
            write(lock);
        };
        assert_eq!(with_lock(&[twice, write]), 3);
    });
}

#[test]
fn three_writers() {
    model(3, || assert_eq!(with_lock(&[write, write, write]), 3));
}

#[test]
fn a_writer_and_two_readers() {
    model(3, || assert_eq!(with_lock(&[write, read, read]), 1));
}

#[test]
fn two_writers_and_a_reader() {
    model(3, || assert_eq!(with_lock(&[write, read, write]), 2));
}

#[test]
fn a_writer_gives_up_while_it_is_let_in() {
    model(9, || {
        let value = with_lock(&[write, write_in_time]);
        assert!(value == 1 || value == 11);
    });
}

#[test]
fn a_writer_gives_up_behind_a_reader_and_before_one() {
    model(3, || {
        let value = with_lock(&[read, write_in_time, read]);
        assert!(value == 0 || value == 10);
    });
}

#[test]
fn a_reader_gives_up_beside_readers_and_a_writer() {
    model(3, || assert_eq!(with_lock(&[write, read_in_time, read]), 1));
}

#[test]
fn two_give_up_at_the_same_time() {
    model(3, || {
        let value = with_lock(&[write, write_in_time, write_in_time]);
        assert!([1, 11, 21].contains(&value));
    });
}

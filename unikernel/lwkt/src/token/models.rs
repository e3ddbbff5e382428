//! What loom tries in all orders. Data under a token is a cell that loom watches: a
//! use beside an exclusive one fails the model, as does a thread that waits for ever.
//! Threads lose their patience after the first round, so both ways to take all tokens
//! again are tried.

use super::{Holder, Token as Generic};
use crate::machine::Park;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::test_machine::{Arc, Threads, leave, model, thread};

type Token = Generic<Threads, u32>;

/// Two tokens, and a flag.
struct Shared {
    a: Token,
    b: Token,
    flag: AtomicBool,
}

impl Shared {
    fn new() -> Self {
        Self {
            a: Token::new(0),
            b: Token::new(0),
            flag: AtomicBool::new(false),
        }
    }
}

type User = fn(&Shared, &mut Holder<'_, Threads>);

/// Runs each of `users` in a thread, and checks that the tokens are free then.
/// Returns their values.
fn with_tokens(users: &[User]) -> (u32, u32) {
    let shared = Arc::new(Shared::new());
    let threads: Vec<_> = users
        .iter()
        .map(|&user| {
            let shared = shared.clone();
            thread::spawn(move || Holder::scope(&mut leave(), |holder| user(&shared, holder)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(shared.a.raw.is_free() && shared.b.raw.is_free());
    Holder::scope(&mut leave(), |holder| {
        (
            holder
                .try_shared(&shared.a, |a, holder| *a.get(holder))
                .unwrap(),
            holder
                .try_shared(&shared.b, |b, holder| *b.get(holder))
                .unwrap(),
        )
    })
}

fn increment(token: &Token, holder: &mut Holder<'_, Threads>) {
    holder.exclusive(token, |mut hold, holder| *hold.get_mut(holder) += 1);
}

/// Takes `first`, then `second`; then has both.
fn increment_both(first: &Token, second: &Token, holder: &mut Holder<'_, Threads>) {
    holder.exclusive(first, |mut first, holder| {
        holder.exclusive(second, |mut second, holder| {
            let (first, second) = (first.get_mut(holder), second.get_mut(holder));
            *first += 1;
            *second += 1;
        });
    });
}

#[test]
fn exclusive_holders_exclude_each_other() {
    model(3, || {
        let once: User = |shared, holder| increment(&shared.a, holder);
        let twice: User = |shared, holder| {
            increment(&shared.a, holder);
            increment(&shared.a, holder);
        };
        assert_eq!(with_tokens(&[once, twice]), (3, 0));
    });
}

#[test]
fn who_shares_excludes_exclusive_holders() {
    model(2, || {
        let look: User = |shared, holder| {
            holder.shared(&shared.a, |a, holder| {
                let before = *a.get(holder);
                assert_eq!(*a.get(holder), before);
            });
        };
        let change: User = |shared, holder| increment(&shared.a, holder);
        assert_eq!(with_tokens(&[look, look, change]), (1, 0));
    });
}

#[test]
fn opposite_orders_do_not_deadlock() {
    model(3, || {
        let one: User = |shared, holder| increment_both(&shared.a, &shared.b, holder);
        let other: User = |shared, holder| increment_both(&shared.b, &shared.a, holder);
        assert_eq!(with_tokens(&[one, other]), (2, 2));
    });
}

#[test]
fn opposite_orders_and_a_third_do_not_deadlock() {
    model(1, || {
        let one: User = |shared, holder| increment_both(&shared.a, &shared.b, holder);
        let other: User = |shared, holder| increment_both(&shared.b, &shared.a, holder);
        let third: User = |shared, holder| increment(&shared.a, holder);
        assert_eq!(with_tokens(&[one, other, third]), (3, 2));
    });
}

#[test]
fn threads_without_patience_do_not_deadlock() {
    model(2, || {
        fn both(first: &Token, second: &Token, holder: &mut Holder<'_, Threads>) {
            holder.exclusive(first, |mut first, holder| {
                holder.exclusive(second, |_, holder| {
                    holder.give_up();
                    holder.take_in_order();
                    *first.get_mut(holder) += 1;
                });
            });
        }
        let one: User = |shared, holder| both(&shared.a, &shared.b, holder);
        let other: User = |shared, holder| both(&shared.b, &shared.a, holder);
        assert_eq!(with_tokens(&[one, other]), (1, 1));
    });
}

#[test]
fn tokens_are_given_up_while_the_thread_blocks() {
    model(3, || {
        // The first waits, with the token, for what the second does with the token.
        let waits: User = |shared, holder| {
            holder.exclusive(&shared.a, |mut a, holder| {
                *a.get_mut(holder) += 1;
                holder.block(|_| {
                    while !shared.flag.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                });
                *a.get_mut(holder) += 1;
            });
        };
        let awaited: User = |shared, holder| {
            increment(&shared.a, holder);
            shared.flag.store(true, Ordering::Release);
        };
        assert_eq!(with_tokens(&[waits, awaited]), (3, 0));
    });
}

#[test]
fn a_thread_sees_that_others_may_have_changed_the_data() {
    model(3, || {
        let looks_twice: User = |shared, holder| {
            holder.shared(&shared.a, |a, holder| {
                let (before, changes) = (*a.get(holder), a.changes(holder));
                holder.block(|_| ());
                assert_eq!(*a.get(holder) != before, a.changes(holder) != changes);
            });
        };
        let change: User = |shared, holder| increment(&shared.a, holder);
        assert_eq!(with_tokens(&[looks_twice, change]), (1, 0));
    });
}

#[test]
fn two_threads_that_share_may_both_become_exclusive() {
    model(3, || {
        let upgrades: User = |shared, holder| {
            holder.shared(&shared.a, |outer, holder| {
                increment(&shared.a, holder);
                assert!(*outer.get(holder) >= 1);
            });
        };
        assert_eq!(with_tokens(&[upgrades, upgrades]), (2, 0));
    });
}

#[test]
fn a_wakeup_is_not_lost_while_the_thread_waits_for_a_token() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        let waker = {
            let (shared, sleeper) = (shared.clone(), Threads::current());
            thread::spawn(move || {
                Holder::scope(&mut leave(), |holder| {
                    holder.exclusive(&shared.a, |_, _| {
                        shared.flag.store(true, Ordering::Release);
                        Threads::unpark(&sleeper);
                    });
                });
            })
        };
        Holder::scope(&mut leave(), |holder| {
            if !shared.flag.load(Ordering::Acquire) {
                increment(&shared.a, holder);
                // Not looked at again: the wakeup may have come while this waited.
                Threads::park(&leave(), None);
            }
        });
        waker.join().unwrap();
    });
}

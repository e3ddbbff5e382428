use std::mem;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{Holder as Generic, Token as GenericToken};
use crate::critical::Critical;
use crate::rwlock::RwLock;
use crate::rwlock::raw::Mode;
use crate::test_machine::{Threads, leave, must_end, thread};

type Token<T> = GenericToken<Threads, T>;
type Holder<'t> = Generic<'t, Threads>;

/// [`Holder::scope`] of the test machine.
fn scope<R>(run: impl FnOnce(&mut Holder<'_>) -> R) -> R {
    Generic::scope(&mut leave(), run)
}

/// Whether another thread could have the token in this mode, now.
fn another_gets<T: Send + Sync>(token: &Token<T>, mode: Mode) -> bool {
    thread::scope(|threads| {
        threads
            .spawn(|| {
                scope(|holder| match mode {
                    Mode::Shared => holder.try_shared(token, |_, _| ()).is_some(),
                    Mode::Exclusive => holder.try_exclusive(token, |_, _| ()).is_some(),
                })
            })
            .join()
            .unwrap()
    })
}

/// Returns when `count` threads wait for the token.
fn until_waiting<T>(token: &Token<T>, count: usize) {
    while token.raw.waiting() != count {
        thread::yield_now();
    }
}

#[test]
fn an_exclusive_holder_is_alone_and_those_who_share_are_not() {
    let token = Token::new(1);
    scope(|holder| {
        holder.shared(&token, |hold, holder| {
            assert_eq!(*hold.get(holder), 1);
            assert!(another_gets(&token, Mode::Shared));
            assert!(!another_gets(&token, Mode::Exclusive));
        });
        holder.exclusive(&token, |mut hold, holder| {
            *hold.get_mut(holder) = 2;
            assert_eq!(*hold.get(holder), 2);
            assert!(!another_gets(&token, Mode::Shared));
        });
        assert!(another_gets(&token, Mode::Exclusive));
    });
    assert!(token.raw.is_free());
}

#[test]
fn data_of_several_tokens_is_used_at_the_same_time() {
    let (a, b) = (Token::new(1), Token::new(2));
    scope(|holder| {
        holder.exclusive(&a, |mut a, holder| {
            holder.exclusive(&b, |mut b, holder| {
                mem::swap(a.get_mut(holder), b.get_mut(holder));
                assert_eq!((*a.get(holder), *b.get(holder)), (2, 1));
            });
        });
    });
}

#[test]
fn a_token_is_taken_again_by_its_holder() {
    let token = Token::new(0);
    scope(|holder| {
        holder.exclusive(&token, |mut outer, holder| {
            holder.exclusive(&token, |mut inner, holder| *inner.get_mut(holder) += 1);
            *outer.get_mut(holder) += 1;
            holder.shared(&token, |inner, holder| {
                assert_eq!(*inner.get(holder), *outer.get(holder));
                assert!(!another_gets(&token, Mode::Shared), "still exclusive");
            });
            assert!(!another_gets(&token, Mode::Shared), "still held");
        });
        holder.shared(&token, |outer, holder| {
            holder.shared(&token, |inner, holder| {
                assert_eq!(*inner.get(holder), *outer.get(holder));
                assert!(another_gets(&token, Mode::Shared));
            });
            assert!(!another_gets(&token, Mode::Exclusive), "still held");
        });
    });
    assert!(token.raw.is_free());
}

#[test]
fn a_shared_token_becomes_exclusive_and_shared_again() {
    let token = Token::new(0);
    scope(|holder| {
        holder.shared(&token, |outer, holder| {
            holder.exclusive(&token, |mut inner, holder| {
                *inner.get_mut(holder) += 1;
                assert!(!another_gets(&token, Mode::Shared));
            });
            assert_eq!(*outer.get(holder), 1);
            assert!(another_gets(&token, Mode::Shared));
            assert!(!another_gets(&token, Mode::Exclusive));
        });
    });
    assert!(token.raw.is_free());
}

#[test]
#[should_panic(expected = "the thread has a newer one")]
fn an_older_hold_does_not_change_what_a_newer_one_sees() {
    let token = Token::new(0);
    scope(|holder| {
        holder.exclusive(&token, |mut outer, holder| {
            holder.shared(&token, |inner, holder| {
                let seen = inner.get(holder);
                *outer.get_mut(holder) += 1;
                assert_eq!(*seen, 0);
            });
        });
    });
}

#[test]
#[should_panic(expected = "the thread has a newer one")]
fn an_older_hold_does_not_see_what_a_newer_one_changes() {
    let (token, other) = (Token::new(0), Token::new(0));
    scope(|holder| {
        holder.shared(&token, |outer, holder| {
            holder.exclusive(&token, |mut inner, holder| {
                // Holds of other tokens in between make no difference.
                holder.exclusive(&other, |_, holder| {
                    let changed = inner.get_mut(holder);
                    assert_eq!(*outer.get(holder), 0);
                    *changed += 1;
                });
            });
        });
    });
}

#[test]
fn a_token_that_is_not_free_is_refused_to_who_only_tries() {
    let token = Token::new(());
    scope(|holder| {
        holder.shared(&token, |_, holder| {
            thread::scope(|threads| {
                threads.spawn(|| {
                    scope(|holder| {
                        holder.shared(&token, |_, holder| {
                            assert!(holder.try_exclusive(&token, |_, _| ()).is_none());
                            assert!(holder.try_shared(&token, |_, _| ()).is_some());
                        });
                    });
                });
            });
            assert!(holder.try_exclusive(&token, |_, _| ()).is_some());
        });
    });
    assert!(token.raw.is_free());
}

#[test]
fn all_tokens_are_given_up_while_the_holder_blocks() {
    let (a, b) = (Token::new(()), Token::new(()));
    scope(|holder| {
        holder.exclusive(&a, |_, holder| {
            holder.shared(&b, |_, holder| {
                holder.block(|_| {
                    assert!(another_gets(&a, Mode::Exclusive));
                    assert!(another_gets(&b, Mode::Exclusive));
                });
                assert!(!another_gets(&a, Mode::Shared));
                assert!(!another_gets(&b, Mode::Exclusive));
                assert!(another_gets(&b, Mode::Shared));
            });
        });
    });
}

#[test]
fn all_tokens_are_given_up_while_the_holder_waits_for_another() {
    must_end(|| {
        let (a, b) = (Token::new(()), Token::new(()));
        let has_both = AtomicBool::new(false);
        thread::scope(|threads| {
            scope(|holder| {
                holder.exclusive(&b, |_, holder| {
                    threads.spawn(|| {
                        scope(|holder| {
                            holder.exclusive(&a, |_, holder| {
                                holder
                                    .exclusive(&b, |_, _| has_both.store(true, Ordering::Release));
                            });
                        });
                    });
                    until_waiting(&b, 1);
                    // The other one has `a`, and waits for `b`.
                    holder.exclusive(&a, |_, _| assert!(!has_both.load(Ordering::Acquire)));
                });
            });
        });
        assert!(has_both.load(Ordering::Acquire));
        assert!(a.raw.is_free() && b.raw.is_free());
    });
}

#[test]
fn tokens_are_given_up_while_the_holder_waits_for_a_lock() {
    must_end(|| {
        let (mut token, lock) = (Token::new(0), RwLock::<Threads, _>::new(()));
        let has_token = AtomicBool::new(false);
        thread::scope(|threads| {
            let guard = lock.write(&leave());
            threads.spawn(|| {
                scope(|holder| {
                    holder.exclusive(&token, |mut hold, holder| {
                        has_token.store(true, Ordering::Release);
                        let _guard = lock
                            .try_write()
                            .unwrap_or_else(|| holder.block(|leave| lock.write(leave)));
                        *hold.get_mut(holder) += 1;
                    });
                });
            });
            while !has_token.load(Ordering::Acquire) {
                thread::yield_now();
            }
            // The other order: the token while this one has the lock.
            scope(|holder| holder.exclusive(&token, |mut hold, holder| *hold.get_mut(holder) += 1));
            drop(guard);
        });
        assert_eq!(*token.get_mut(), 2);
    });
}

#[test]
fn changes_by_others_are_told_and_own_ones_are_not() {
    let token = Token::new(());
    scope(|holder| {
        holder.exclusive(&token, |hold, holder| {
            let mut changes = hold.changes(holder);
            let mut is_new = |now: u64| mem::replace(&mut changes, now) != now;

            holder.block(|_| ());
            assert!(!is_new(hold.changes(holder)), "nobody had it");
            holder.block(|_| assert!(another_gets(&token, Mode::Shared)));
            assert!(!is_new(hold.changes(holder)), "somebody looked");
            holder.exclusive(&token, |_, holder| holder.block(|_| ()));
            assert!(!is_new(hold.changes(holder)), "only this thread had it");
            holder.block(|_| assert!(another_gets(&token, Mode::Exclusive)));
            assert!(is_new(hold.changes(holder)), "somebody had it");
            holder.shared(&token, |inner, holder| {
                holder.block(|_| assert!(another_gets(&token, Mode::Exclusive)));
                assert_eq!(inner.changes(holder), hold.changes(holder));
            });
            assert!(is_new(hold.changes(holder)), "somebody had it");
        });
        holder.shared(&token, |hold, holder| {
            let before = hold.changes(holder);
            // Exclusive in between, by this thread.
            holder.exclusive(&token, |_, _| ());
            holder.block(|_| ());
            assert_eq!(hold.changes(holder), before);
        });
    });
}

#[test]
fn a_panic_ends_all_holds() {
    let (a, b) = (Token::new(()), Token::new(()));
    scope(|holder| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            holder.shared(&a, |_, holder| {
                holder.exclusive(&b, |_, holder| {
                    holder.exclusive(&a, |_, holder| {
                        holder.block(|_| {
                            panic!("expected: the test panics while tokens are given up")
                        })
                    })
                })
            })
        }));
        assert!(result.is_err());
        assert!(a.raw.is_free() && b.raw.is_free());
        holder.exclusive(&a, |_, _| ());
    });
}

#[test]
#[should_panic(expected = "in a critical section, and is not free")]
fn waiting_in_a_critical_section_is_refused() {
    let token = Token::new(());
    scope(|holder| {
        holder.exclusive(&token, |_, _| {
            thread::scope(|threads| {
                let refused = threads.spawn(|| {
                    scope(|holder| {
                        let _section = Critical::<Threads>::enter();
                        holder.shared(&token, |_, _| ());
                    });
                });
                std::panic::resume_unwind(refused.join().unwrap_err());
            });
        });
    });
}

#[test]
fn an_exclusive_holder_comes_to_its_turn_among_many_that_share() {
    must_end(|| {
        let token = Token::new(0);
        let is_done = AtomicBool::new(false);
        thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    scope(|holder| {
                        // One of them has it at any time, were it not for the writer.
                        while !is_done.load(Ordering::Relaxed) {
                            holder.shared(&token, |_, _| thread::yield_now());
                        }
                    });
                });
            }
            scope(|holder| {
                for _ in 0..500 {
                    holder.exclusive(&token, |mut hold, holder| *hold.get_mut(holder) += 1);
                }
            });
            is_done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn who_needs_two_tokens_comes_to_its_turn_among_many_that_need_one() {
    must_end(|| {
        let tokens = [Token::new(0), Token::new(0)];
        let is_done = AtomicBool::new(false);
        thread::scope(|threads| {
            for number in 0..4 {
                let (token, is_done) = (&tokens[number % 2], &is_done);
                threads.spawn(move || {
                    scope(|holder| {
                        while !is_done.load(Ordering::Relaxed) {
                            holder.exclusive(token, |_, _| thread::yield_now());
                        }
                    });
                });
            }
            scope(|holder| {
                holder.exclusive(&tokens[1], |mut one, holder| {
                    holder.exclusive(&tokens[0], |mut other, holder| {
                        for _ in 0..100 {
                            *one.get_mut(holder) += 1;
                            *other.get_mut(holder) += 1;
                            holder.block(|_| thread::yield_now());
                        }
                    });
                });
            });
            is_done.store(true, Ordering::Relaxed);
        });
    });
}

/// What a thread does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a token, until the `End` that belongs to it or the last step.
    Take(usize, Mode),
    /// The same, if the token is free.
    Try(usize, Mode),
    End,
    Block,
}

const TOKENS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let mode = || prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    prop_oneof![
        4 => (0..TOKENS, mode()).prop_map(|(token, mode)| Step::Take(token, mode)),
        1 => (0..TOKENS, mode()).prop_map(|(token, mode)| Step::Try(token, mode)),
        4 => Just(Step::End),
        2 => Just(Step::Block),
    ]
}

/// Tokens, and beside them who says that it has them.
struct Table {
    tokens: [Token<u64>; TOKENS],
    /// How many share the token; -1 if one has it exclusively.
    users: [AtomicI32; TOKENS],
    changes: AtomicUsize,
}

/// How often a thread has each token, exclusively and shared.
#[derive(Clone, Copy, Default)]
struct Own([(u32, u32); TOKENS]);

impl Own {
    fn with(mut self, token: usize, mode: Mode) -> Self {
        match mode {
            Mode::Exclusive => self.0[token].0 += 1,
            Mode::Shared => self.0[token].1 += 1,
        }
        self
    }
}

impl Table {
    /// Says that the thread runs with what is its own; nobody else may have it.
    fn come(&self, own: &Own) {
        for (users, &count) in self.users.iter().zip(&own.0) {
            match count {
                (0, 0) => {}
                (0, _) => assert!(
                    users.fetch_add(1, Ordering::AcqRel) >= 0,
                    "one is exclusive"
                ),
                _ => assert_eq!(users.swap(-1, Ordering::AcqRel), 0, "not alone"),
            }
        }
    }

    /// Says that the thread may block now.
    fn go(&self, own: &Own) {
        for (users, &count) in self.users.iter().zip(&own.0) {
            match count {
                (0, 0) => {}
                (0, _) => assert!(users.fetch_sub(1, Ordering::AcqRel) > 0),
                _ => assert_eq!(users.swap(0, Ordering::AcqRel), -1),
            }
        }
    }

    /// Does what comes in `steps` until a hold ends.
    fn run(&self, steps: &mut slice::Iter<'_, Step>, own: Own, holder: &mut Holder<'_>) {
        self.come(&own);
        while let Some(&step) = steps.next() {
            self.go(&own);
            match step {
                Step::End => return,
                Step::Block => holder.block(|_| thread::yield_now()),
                Step::Take(token, Mode::Shared) => {
                    holder.shared(&self.tokens[token], |hold, holder| {
                        self.look(steps, own.with(token, Mode::Shared), hold, holder);
                    });
                }
                Step::Take(token, Mode::Exclusive) => {
                    holder.exclusive(&self.tokens[token], |hold, holder| {
                        self.change(steps, own.with(token, Mode::Exclusive), hold, holder);
                    });
                }
                Step::Try(token, Mode::Shared) => {
                    holder.try_shared(&self.tokens[token], |hold, holder| {
                        self.look(steps, own.with(token, Mode::Shared), hold, holder);
                    });
                }
                Step::Try(token, Mode::Exclusive) => {
                    holder.try_exclusive(&self.tokens[token], |hold, holder| {
                        self.change(steps, own.with(token, Mode::Exclusive), hold, holder);
                    });
                }
            }
            self.come(&own);
        }
        self.go(&own);
    }

    /// Has a shared token.
    fn look<'t>(
        &self,
        steps: &mut slice::Iter<'_, Step>,
        own: Own,
        hold: super::Shared<'_, 't, Threads, u64>,
        holder: &mut Holder<'t>,
    ) {
        let before = *hold.get(holder);
        thread::yield_now();
        assert_eq!(*hold.get(holder), before);
        self.run(steps, own, holder);
    }

    /// Has an exclusive token.
    fn change<'t>(
        &self,
        steps: &mut slice::Iter<'_, Step>,
        own: Own,
        mut hold: super::Exclusive<'_, 't, Threads, u64>,
        holder: &mut Holder<'t>,
    ) {
        let before = mem::replace(hold.get_mut(holder), u64::MAX);
        thread::yield_now();
        *hold.get_mut(holder) = before + 1;
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.run(steps, own, holder);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever threads take in whatever order, who runs with a token exclusively is
    /// alone, all come to an end, and no token is held after that.
    #[test]
    fn running_holders_exclude_each_other_and_all_end(
        threads in prop::collection::vec(prop::collection::vec(step(), 1..150), 2..5)
    ) {
        must_end(move || {
            let table = Table {
                tokens: [const { Token::new(0) }; TOKENS],
                users: [const { AtomicI32::new(0) }; TOKENS],
                changes: AtomicUsize::new(0),
            };
            thread::scope(|running| {
                for steps in &threads {
                    let table = &table;
                    running.spawn(move || {
                        scope(|holder| {
                            let mut steps = steps.iter();
                            while steps.len() > 0 {
                                table.run(&mut steps, Own::default(), holder);
                            }
                        });
                    });
                }
            });
            let mut changes = 0;
            for mut token in table.tokens {
                assert!(token.raw.is_free());
                assert_eq!(token.raw.waiting(), 0);
                changes += *token.get_mut();
            }
            assert_eq!(changes, table.changes.into_inner() as u64);
        });
    }
}

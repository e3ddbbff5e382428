//! Threads that wait for the clock.

use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, several};

/// What a busy host may add to a sleep: an emulated CPU does not run all the time.
const LATE: Duration = Duration::from_millis(1500);

/// Sleeps of many lengths at the same time: never early, and late only by so much.
pub fn sleep(times: u64) -> Outcome {
    let threads = several() as u64;
    let worst = thread::scope(|scope| {
        let sleepers: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    let mut worst = Duration::ZERO;
                    for time in 0..times {
                        let wait =
                            Duration::from_micros(1 + (number * 7919 + time * 104_729) % 5000);
                        let begin = Instant::now();
                        thread::sleep(wait);
                        let took = begin.elapsed();
                        let Some(late) = took.checked_sub(wait) else {
                            return Err(format!("a sleep of {wait:?} ended after {took:?}"));
                        };
                        worst = worst.max(late);
                    }
                    Ok(worst)
                })
            })
            .collect();
        let mut worst = Duration::ZERO;
        for sleeper in sleepers {
            worst = worst.max(sleeper.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, String>(worst)
    })?;
    match worst < LATE {
        true => Ok(format!(
            "{threads} threads, {times} sleeps each, none early"
        )),
        false => Err(format!("a sleep ended {worst:?} too late")),
    }
}

/// Waits with a limit, half of which are ended before it.
pub fn timeout(times: u64) -> Outcome {
    let (number, changed) = (Mutex::new(0_u64), Condvar::new());
    let wait = Duration::from_millis(1);
    let (mut woken, mut timed_out) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..times {
                let mut now = number.lock().unwrap();
                *now += 1;
                drop(now);
                changed.notify_one();
                thread::sleep(wait);
            }
        });
        let mut seen = 0;
        while seen < times {
            let begin = Instant::now();
            let (now, result) = changed
                .wait_timeout_while(number.lock().unwrap(), wait, |now| *now == seen)
                .unwrap();
            seen = *now;
            drop(now);
            if !result.timed_out() {
                woken += 1;
            } else if begin.elapsed() < wait {
                return Err(format!(
                    "a wait of {wait:?} timed out after {:?}",
                    begin.elapsed()
                ));
            } else {
                timed_out += 1;
            }
        }
        Ok(())
    })?;
    match woken > 0 {
        true => Ok(format!(
            "{times} changes seen, in {} waits",
            woken + timed_out
        )),
        false => Err("no wait was ended by a wake-up".into()),
    }
}

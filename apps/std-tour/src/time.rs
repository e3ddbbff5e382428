//! `std::time`.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tour::{Check, Outcome, ensure};

pub const CHECKS: &[Check] = &[
    Check::new("Instant never goes back", monotonic),
    Check::new("Instant agrees on all CPUs", agrees),
    Check::new("Instant and SystemTime run at one speed", same_speed),
    Check::new("SystemTime is the date", date),
];

fn monotonic() -> Outcome {
    let begin = Instant::now();
    let mut last = begin;
    let mut steps = 0;
    for _ in 0..10_000 {
        let now = Instant::now();
        ensure!(now >= last, "went back by {:?}", last.duration_since(now));
        steps += u32::from(now > last);
        last = now;
    }
    ensure!(steps > 0, "stood still");
    Ok(format!("10000 readings in {:?}", last - begin))
}

fn agrees() -> Outcome {
    // Each thread reads the clock after the one before it.
    let mut last = Instant::now();
    for _ in 0..50 {
        let now = thread::spawn(Instant::now)
            .join()
            .map_err(|_| "the thread panicked")?;
        ensure!(
            now >= last,
            "another thread's clock is {:?} behind",
            last - now
        );
        last = now;
    }
    Ok("50 threads, one after the other".into())
}

fn same_speed() -> Outcome {
    let (instant, system) = (Instant::now(), SystemTime::now());
    thread::sleep(Duration::from_millis(100));
    let (a, b) = (instant.elapsed(), system.elapsed()?);
    ensure!(a >= Duration::from_millis(100), "slept {a:?} of 100ms");
    // Both readings are taken one after the other, so they differ a little.
    ensure!(a.abs_diff(b) < Duration::from_millis(50), "{a:?} and {b:?}");
    Ok("over 100ms".into())
}

fn date() -> Outcome {
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let year = 1970 + days * 10_000 / 3_652_425;
    ensure!((2020..2100).contains(&year), "it is the year {year}");
    Ok(format!("day {days} since 1970"))
}

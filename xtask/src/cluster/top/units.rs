//! Numbers in no more than five or six characters.

use std::time::Duration;

/// How often something happens.
pub fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T"])
}

/// Bytes.
pub fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &["B", "K", "M", "G", "T"])
}

/// The first unit of which there are less than a thousand; those beyond the first are 1,000 or 1,024 times
/// as large as the ones before.
fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut rest = units.iter();
    let mut unit = rest.next().copied().unwrap_or_default();
    let first = unit;
    while number >= 999.5
        && let Some(next) = rest.next()
    {
        number /= step;
        unit = next;
    }
    match unit == first || number >= 9.95 {
        true => format!("{number:.0}{unit}"),
        false => format!("{number:.1}{unit}"),
    }
}

/// A time.
pub fn time(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        ..999.5 => format!("{us:.0}µs"),
        ..9_950.0 => format!("{:.1}ms", us / 1e3),
        ..999_500.0 => format!("{:.0}ms", us / 1e3),
        _ => format!("{:.1}s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes, count, time};

    #[test]
    fn numbers_are_short() {
        let counts = [0.0, 0.4, 7.0, 999.0, 999.6, 12_345.0, 9_960.0, 3e6, 2.5e15];
        assert_eq!(
            counts.map(count),
            ["0", "0", "7", "999", "1.0k", "12k", "10k", "3.0M", "2500T"]
        );
        let sizes = [0.0, 4096.0, 1_000.0, 3_500_000.0, 268_435_456.0];
        assert_eq!(sizes.map(bytes), ["0B", "4.0K", "1.0K", "3.3M", "256M"]);
        let times = [0, 700, 1_500, 9_990, 20_000, 999_700, 4_200_000];
        assert_eq!(
            times.map(|us| time(Duration::from_micros(us))),
            ["0µs", "700µs", "1.5ms", "10ms", "20ms", "1.0s", "4.2s"]
        );
    }
}

//! Floating point, and the vector registers that it lives in.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("functions", functions),
    Check::new("formatting and parsing", text),
    Check::new("registers survive thread switches", registers),
    Check::new("wide vectors survive thread switches", vectors),
];

fn functions() -> Outcome {
    let half = black_box(0.5_f64);
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
    ensure!(near((half.asin() * 6.0).cos(), -1.0), "sine and cosine");
    ensure!(near(half.exp().ln(), 0.5), "exponential and logarithm");
    ensure!(
        near(half.powf(2.5) * 32.0_f64.sqrt(), 1.0),
        "power and root"
    );
    ensure!(near(half.sinh().asinh(), 0.5), "hyperbolic");
    ensure!(near(black_box(5.0_f64).hypot(12.0), 13.0), "hypotenuse");
    same!(
        (black_box(2.5_f64).round(), black_box(-2.5_f64).floor()),
        (3.0, -3.0)
    );
    same!(black_box(1e16_f64).mul_add(3.0, 1.0).rem_euclid(10.0), 0.0);
    same!(black_box(0.1_f32) + 0.2, 0.3_f32);
    Ok("as computed by hand".into())
}

fn text() -> Outcome {
    for number in [0.1, 1e-300, f64::MAX, std::f64::consts::PI] {
        same!(number.to_string().parse::<f64>()?, number);
    }
    same!(
        format!("{:.3} {:e}", 2.0_f64 / 3.0, 1234.5),
        "0.667 1.2345e3"
    );
    Ok("there and back".into())
}

/// Runs `work` in `THREADS` threads, each with its number, and counts failures.
fn compete(work: impl Fn(usize) -> bool + Sync) -> usize {
    const THREADS: usize = 12;
    let failures = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (work, failures) = (&work, &failures);
            scope.spawn(move || failures.fetch_add(usize::from(!work(number)), Ordering::Relaxed));
        }
    });
    failures.into_inner()
}

fn registers() -> Outcome {
    let failures = compete(|number| {
        // Kept in registers across the switches that yielding brings about.
        let (mut a, mut b, mut c) = (number as f64, number as f64 + 0.25, 0.0);
        for round in 0..2000 {
            (a, b) = (b, a);
            c += b - a;
            if round % 16 == 0 {
                thread::yield_now();
            }
        }
        c == 0.0 && black_box(a + b) == 2.0 * number as f64 + 0.25
    });
    same!(failures, 0);
    Ok("12 threads".into())
}

/// Fills a vector register, lets others run, and looks whether it is unchanged.
/// In assembly, because the compiler would keep the value in memory meanwhile.
#[cfg(target_arch = "x86_64")]
fn vectors() -> Outcome {
    use std::arch::asm;

    let wide = std::is_x86_feature_detected!("avx");
    let failures = compete(|number| {
        let pattern = [number as u64 * 0x0101_0101; 4];
        let mut found = [0_u64; 4];
        for round in 0_u64..400 {
            let spins = 500 + round * 7;
            // Long enough in all for the timer to take the CPU away now and then.
            if wide {
                // SAFETY: the CPU has AVX; 32 bytes are read and written, and
                // the registers changed are named.
                unsafe {
                    asm!(
                        "vmovdqu ymm7, [{from}]",
                        "2: dec {spins}",
                        "jnz 2b",
                        "vmovdqu [{to}], ymm7",
                        "vzeroupper",
                        from = in(reg) &pattern, to = in(reg) &mut found,
                        spins = inout(reg) spins => _, out("ymm7") _,
                        out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                        out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm8") _,
                        out("ymm9") _, out("ymm10") _, out("ymm11") _, out("ymm12") _,
                        out("ymm13") _, out("ymm14") _, out("ymm15") _,
                    );
                }
            } else {
                // SAFETY: 16 bytes are read and written, the register is named.
                unsafe {
                    asm!(
                        "movdqu xmm7, [{from}]",
                        "2: dec {spins}",
                        "jnz 2b",
                        "movdqu [{to}], xmm7",
                        from = in(reg) &pattern, to = in(reg) &mut found,
                        spins = inout(reg) spins => _, out("xmm7") _,
                    );
                }
                found[2..].copy_from_slice(&pattern[2..]);
            }
            if found != pattern {
                return false;
            }
        }
        true
    });
    same!(failures, 0);
    Ok(if wide { "256 bits" } else { "128 bits" }.into())
}

/// As above, where the width of vectors is not known.
#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> Outcome {
    Ok("not on this architecture".into())
}

//! Where time comes from: the counter's frequency and the wall clock.

use raw_cpuid::CpuId;
use time::{Date, Month, PrimitiveDateTime, Time};
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::Msr;

use super::cpu::tsc;
use crate::memory::{frames, paging};

/// kvm-clock's structures (Linux Documentation/virt/kvm/x86/msr.rst).
const MSR_KVM_WALL_CLOCK: u32 = 0x4b56_4d00;
const MSR_KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
/// PIT input clock in Hz.
const PIT_HZ: u64 = 1_193_182;
/// How many PIT ticks the measurement takes: 2 ms.
const PIT_TICKS: u16 = 2386;
/// A counter that many readings find unmoved is not there: reading it takes
/// about as long as one of its ticks.
const PIT_PATIENCE: u32 = 4096;
/// The real-time clock's periodic flag in the measurement: 1024 Hz, 8 times.
const RTC_RATE: u8 = 6;
const RTC_HZ: u64 = 1024;
const RTC_PERIODS: u64 = 8;
/// Readings without the flag after which there is no such clock. A thousand
/// times what one period takes where a reading is quick.
const RTC_PATIENCE: u32 = 16 << 20;

/// The time-stamp counter's frequency in kHz, from the best source there is;
/// `None`: the machine has nothing to measure it with.
pub fn tsc_khz() -> Option<u64> {
    let cpuid = CpuId::new();
    if let Some(khz) = kvm_tsc_khz() {
        return Some(khz);
    }
    // The timing leaf that KVM, VMware and others share.
    if let Some(info) = cpuid.get_hypervisor_info()
        && let Some(khz) = info.tsc_frequency().filter(|&khz| khz > 0)
    {
        return Some(u64::from(khz));
    }
    if let Some(hz) = cpuid.get_tsc_info().and_then(|info| info.tsc_frequency()) {
        return Some(hz / 1000);
    }
    agreed(measure_against_pit).or_else(|| agreed(measure_against_rtc))
}

/// How often a measurement is made again that differs from the one before.
const REPETITIONS: u32 = 32;

/// What two measurements in succession find, within one or two percent: a host that lets others run in
/// the middle of one makes it wrong by any factor.
fn agreed(measure: impl Fn() -> Option<u64>) -> Option<u64> {
    let mut before = measure()?;
    for _ in 0..REPETITIONS {
        let now = measure()?;
        if now.abs_diff(before) <= before / 64 {
            return Some(now.midpoint(before));
        }
        before = now;
    }
    Some(before)
}

fn has_kvm_clock() -> bool {
    const CLOCKSOURCE2: u32 = 1 << 3;
    let leaf = core::arch::x86_64::__cpuid(0x4000_0000);
    let signature = (leaf.ebx, leaf.ecx, leaf.edx);
    let kvm = (
        u32::from_le_bytes(*b"KVMK"),
        u32::from_le_bytes(*b"VMKV"),
        u32::from_le_bytes(*b"M\0\0\0"),
    );
    CpuId::new()
        .get_feature_info()
        .is_some_and(|info| info.has_hypervisor())
        && signature == kvm
        && core::arch::x86_64::__cpuid(0x4000_0001).eax & CLOCKSOURCE2 != 0
}

/// kvm-clock's scale, turned into a frequency.
fn kvm_tsc_khz() -> Option<u64> {
    if !has_kvm_clock() {
        return None;
    }
    with_kvm_page(MSR_KVM_SYSTEM_TIME, 1, |words| {
        let multiplier = words[6];
        let shift = (words[7] & 0xff) as u8 as i8;
        if multiplier == 0 {
            return None;
        }
        let khz = (1_000_000u128 << 32) / u128::from(multiplier);
        let khz = if shift < 0 {
            khz << -shift
        } else {
            khz >> shift
        };
        u64::try_from(khz).ok()
    })
}

/// Has the host fill a structure of 8 words through `msr` and reads it.
fn with_kvm_page<T>(msr: u32, enable: u64, read: impl FnOnce([u32; 8]) -> Option<T>) -> Option<T> {
    let frame = frames::allocate_page()?;
    let page = paging::direct(frame) as *mut u32;
    // SAFETY: the page was just allocated and is mapped through the direct map;
    // the host writes to it only while the MSR names it.
    let words = unsafe {
        core::ptr::write_bytes(page.cast::<u8>(), 0, 4096);
        let mut register = Msr::new(msr);
        register.write(frame | enable);
        let words: [u32; 8] = core::array::from_fn(|index| page.add(index).read_volatile());
        if enable != 0 {
            register.write(0);
        }
        words
    };
    frames::free_page(frame);
    read(words)
}

/// Counts the time-stamp counter over 2 ms of PIT channel 2 (Intel 8254).
fn measure_against_pit() -> Option<u64> {
    without_interrupts(|| {
        let mut gate: Port<u8> = Port::new(0x61);
        let mut command: Port<u8> = Port::new(0x43);
        let mut channel: Port<u8> = Port::new(0x42);
        // SAFETY: channel 2 drives only the speaker, which stays off; it counts
        // down from the value written, in mode 0, with its gate on.
        unsafe {
            let old = gate.read();
            gate.write((old & !0x02) | 0x01);
            command.write(0b1011_0000);
            channel.write(0xff);
            channel.write(0xff);
            let mut sample = || {
                command.write(0b1000_0000);
                let low = u16::from(channel.read());
                let count = low | u16::from(channel.read()) << 8;
                (count, tsc())
            };
            // A machine without the timer answers every reading with all ones.
            let mut moved = |from: u16| {
                (0..PIT_PATIENCE)
                    .map(|_| sample())
                    .find(|&(count, _)| count < from)
            };
            // The counter is loaded at the next input clock: wait for movement.
            let first = moved(u16::MAX);
            let mut last = first;
            while let (Some(first), Some(now)) = (first, last)
                && first.0 - now.0 < PIT_TICKS
            {
                last = moved(now.0);
            }
            gate.write(old);
            let (first, last) = (first?, last?);
            let ticks = u64::from(first.0 - last.0);
            Some((last.1 - first.1) * PIT_HZ / (ticks * 1000))
        }
    })
}

/// Counts the time-stamp counter over 8 periods of the MC146818 real-time clock.
/// Its interrupt line is masked, but its flag can be polled.
fn measure_against_rtc() -> Option<u64> {
    const PERIODIC: u8 = 0x40;
    let (rate, control) = (cmos(0x0a), cmos(0x0b));
    set_cmos(0x0a, (rate & 0xf0) | RTC_RATE);
    set_cmos(0x0b, control | PERIODIC);
    // Reading the flags clears them.
    let period = || {
        (0..RTC_PATIENCE)
            .find(|_| cmos(0x0c) & PERIODIC != 0)
            .map(|_| tsc())
    };
    let elapsed = without_interrupts(|| {
        cmos(0x0c);
        // All ones: nothing answers there.
        if cmos(0x0d) == 0xff {
            return None;
        }
        let start = period()?;
        let mut end = start;
        for _ in 0..RTC_PERIODS {
            end = period()?;
        }
        Some(end - start)
    });
    set_cmos(0x0b, control);
    set_cmos(0x0a, rate);
    Some(elapsed? * RTC_HZ / (RTC_PERIODS * 1000))
}

/// Wall time now, nanoseconds since 1970-01-01 UTC; 0 when there is no clock.
pub fn wall_ns() -> u64 {
    if has_kvm_clock()
        && let Some(ns) = kvm_wall_ns()
    {
        return ns;
    }
    rtc_seconds().unwrap_or(0) * 1_000_000_000
}

/// kvm-clock: wall time at boot plus system time now.
fn kvm_wall_ns() -> Option<u64> {
    let boot = with_kvm_page(MSR_KVM_WALL_CLOCK, 0, |words| {
        (words[1] != 0).then(|| u64::from(words[1]) * 1_000_000_000 + u64::from(words[2]))
    })?;
    with_kvm_page(MSR_KVM_SYSTEM_TIME, 1, |words| {
        Some(boot + (u64::from(words[4]) | u64::from(words[5]) << 32))
    })
}

fn cmos(register: u8) -> u8 {
    let mut index: Port<u8> = Port::new(0x70);
    let mut data: Port<u8> = Port::new(0x71);
    // SAFETY: reading the clock's registers changes nothing; boot is the only user.
    unsafe {
        index.write(register);
        data.read()
    }
}

fn set_cmos(register: u8, value: u8) {
    let mut index: Port<u8> = Port::new(0x70);
    let mut data: Port<u8> = Port::new(0x71);
    // SAFETY: only the clock's rate and control registers are written, by boot.
    unsafe {
        index.write(register);
        data.write(value);
    }
}

/// The MC146818 real-time clock, read until two readings agree.
fn rtc_seconds() -> Option<u64> {
    let read = || [0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x32].map(cmos);
    let mut fields = read();
    for _ in 0..16 {
        let again = read();
        if again == fields && cmos(0x0a) & 0x80 == 0 {
            break;
        }
        fields = again;
    }
    let status = cmos(0x0b);
    let binary = status & 0x04 != 0;
    let decode = |value: u8| {
        if binary {
            value
        } else {
            (value >> 4) * 10 + (value & 0x0f)
        }
    };
    let hour_field = fields[2];
    let mut hour = decode(hour_field & 0x7f);
    if status & 0x02 == 0 {
        // Twelve-hour mode: bit 7 is PM, and 12 AM is midnight.
        hour = hour % 12 + if hour_field & 0x80 != 0 { 12 } else { 0 };
    }
    let century = match decode(fields[6]) {
        century @ 19..=29 => i32::from(century) * 100,
        _ => 2000,
    };
    let date = Date::from_calendar_date(
        century + i32::from(decode(fields[5])),
        Month::try_from(decode(fields[4])).ok()?,
        decode(fields[3]),
    )
    .ok()?;
    let time = Time::from_hms(hour, decode(fields[1]), decode(fields[0])).ok()?;
    u64::try_from(
        PrimitiveDateTime::new(date, time)
            .assume_utc()
            .unix_timestamp(),
    )
    .ok()
}

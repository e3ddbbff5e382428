//! Clocks.

use core::arch::naked_asm;
use core::mem::offset_of;

use hermit_abi::{CLOCK_MONOTONIC, CLOCK_REALTIME, EINVAL, clockid_t, timespec};

use super::entry::on_kernel_stack;
use super::user::{self, Errno, answer};
use crate::arch::percpu::{STRETCH, this_cpu};
use crate::layout::SLICES_BIT;
use crate::time::{Stretch, realtime_ns};

const SECOND: u64 = 1_000_000_000;

/// A time as nanoseconds; EINVAL: it is negative or not normal. What is too large
/// becomes the largest.
pub fn duration_ns(time: timespec) -> Result<u64, Errno> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno(EINVAL))?;
    let rest = u64::try_from(time.tv_nsec)
        .ok()
        .filter(|&rest| rest < SECOND)
        .ok_or(Errno(EINVAL))?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

/// The rest of [`sys_clock_gettime`], on the kernel stack.
#[unsafe(naked)]
extern "C" fn slowly(clock: clockid_t, into: *mut timespec) -> i32 {
    on_kernel_stack!(any_clock)
}

/// Any clock, stored anywhere.
extern "C" fn any_clock(clock: clockid_t, into: *mut timespec) -> i32 {
    let (seconds, ns) = match clock {
        CLOCK_REALTIME => {
            let ns = realtime_ns();
            (ns / SECOND, (ns % SECOND) as u32)
        }
        CLOCK_MONOTONIC => this_cpu().stretch.begin(),
        _ => return answer(Err(Errno(EINVAL))),
    };
    let time = timespec {
        tv_sec: seconds as i64,
        tv_nsec: ns as i32,
    };
    answer(user::write(into, time).map(|()| 0))
}

/// Where the assembly below stores the parts of a time.
const _: () = assert!(offset_of!(timespec, tv_sec) == 0 && offset_of!(timespec, tv_nsec) == 8);

/// Stores the time of a clock: since 1970, or since boot.
///
/// Programs ask for the time since boot more often than for anything else, and nearly
/// always within a [`Stretch`](crate::time::Stretch) of it, for a place on a stack. So this
/// is done here, without a branch taken:
///
/// * The place is in the slices if its address has a bit. What has the bit and is not in
///   them is nobody's memory; storing there faults, as it would in the program.
/// * The ticks since the stretch began are a difference of two halves. It is over if the
///   upper one is not 0; else that is the 0 which this returns.
/// * The sum has the nanoseconds in its upper half. It is stored four bytes early, and
///   what that spoils is written next.
///
/// It takes no stack and is not preempted, as all kernel code, so the CPU stays the same.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn sys_clock_gettime(clockid: clockid_t, tp: *mut timespec) -> i32 {
    naked_asm!(
        "cmp edi, {monotonic}",
        "jne {slowly}",
        "bt rsi, {bit}",
        "jnc {slowly}",
        "rdtsc",
        "sub eax, gs:[{base}]",
        "sbb edx, gs:[{base} + 4]",
        "jne {slowly}",
        "imul rax, gs:[{scale}]",
        "add rax, gs:[{at_base}]",
        "mov rcx, gs:[{second}]",
        "mov [rsi + 4], rax",
        "mov [rsi], rcx",
        "mov eax, edx",
        "ret",
        monotonic = const CLOCK_MONOTONIC,
        bit = const SLICES_BIT,
        base = const STRETCH + offset_of!(Stretch, base),
        at_base = const STRETCH + offset_of!(Stretch, at_base),
        scale = const STRETCH + offset_of!(Stretch, scale),
        second = const STRETCH + offset_of!(Stretch, second),
        slowly = sym slowly,
    )
}

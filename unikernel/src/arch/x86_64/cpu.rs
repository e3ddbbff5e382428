//! Processor features: what the kernel needs, what it uses when it is there.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use raw_cpuid::native_cpuid::cpuid_count;
use raw_cpuid::{CpuId, CpuIdResult, FeatureInfo};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

static FSGSBASE: AtomicBool = AtomicBool::new(false);
static XSAVE: AtomicBool = AtomicBool::new(false);
static XSAVE_BYTES: AtomicU32 = AtomicU32::new(512);

/// The time-stamp counter, not ordered against surrounding loads.
#[inline(always)]
pub fn tsc() -> u64 {
    // SAFETY: RDTSC has no effect but to read the counter; CR4.TSD is never set.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// `FS` and `GS` bases can be written by instruction.
#[inline]
pub fn has_fsgsbase() -> bool {
    FSGSBASE.load(Ordering::Relaxed)
}

/// Vector state is saved by `XSAVE` (else by `FXSAVE`).
#[inline]
pub fn has_xsave() -> bool {
    XSAVE.load(Ordering::Relaxed)
}

/// Bytes that the vector state of a preempted thread takes.
pub fn vector_state_bytes() -> usize {
    XSAVE_BYTES.load(Ordering::Relaxed) as usize
}

/// Names a feature that the kernel and every program need and this processor
/// lacks. Needs no memory: it is asked before there is any.
pub fn missing_feature() -> Option<&'static str> {
    let cpuid = CpuId::new();
    let info = cpuid.get_feature_info();
    let has = |test: fn(&FeatureInfo) -> bool| info.as_ref().is_some_and(test);
    let no_execute = cpuid
        .get_extended_processor_and_feature_identifiers()
        .is_some_and(|extended| extended.has_execute_disable());
    let required = [
        ("fxsr", has(FeatureInfo::has_fxsave_fxstor)),
        ("sse2", has(FeatureInfo::has_sse2)),
        ("apic", has(FeatureInfo::has_apic)),
        ("tsc", has(FeatureInfo::has_tsc)),
        ("cx8", has(FeatureInfo::has_cmpxchg8b)),
        ("nx", no_execute),
    ];
    required
        .into_iter()
        .find(|&(_, there)| !there)
        .map(|(name, _)| name)
}

/// What programs may find out and then rely on: the register state that is enabled (XCR0; 0 without
/// `XSAVE`), and the instruction sets of CPUID: leaves 1 (ECX) and 7 (EBX, ECX, EDX, and of subleaf 1
/// EAX), and 0x8000_0001 (ECX). After [`init`].
pub fn program_features() -> (u64, [u64; 3]) {
    let cpuid = CpuId::new();
    let most = cpuid_count(0, 0).eax;
    let leaf = |leaf, subleaf| match leaf <= most {
        true => cpuid_count(leaf, subleaf),
        false => CpuIdResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        },
    };
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let (basic, more, later) = (leaf(1, 0), leaf(7, 0), leaf(7, 1));
    let later = if more.eax >= 1 { later.eax } else { 0 };
    let extended = match cpuid_count(0x8000_0000, 0).eax {
        0x8000_0001.. => cpuid_count(0x8000_0001, 0).ecx,
        _ => 0,
    };
    let words = [
        join(basic.ecx, more.ebx),
        join(more.ecx, more.edx),
        join(later, extended),
    ];
    let has_xsave = cpuid
        .get_feature_info()
        .is_some_and(|info| info.has_xsave());
    // XCR0 is read only where there is one.
    let enabled = if has_xsave { XCr0::read_raw() } else { 0 };
    (enabled, words)
}

/// Sets up the control registers of the calling CPU: write protection also for
/// ring 0, no-execute, SSE and what else of vector state the CPU has.
pub fn init() {
    let cpuid = CpuId::new();
    let info = cpuid.get_feature_info();
    let has_xsave = info.as_ref().is_some_and(|info| info.has_xsave());
    let has_fsgsbase = cpuid
        .get_extended_feature_info()
        .is_some_and(|info| info.has_fsgsbase());
    // SAFETY: the flags enable protection and instruction sets; no mapping or
    // code of the kernel relies on their being off, and CPUID said they exist.
    unsafe {
        Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE));
        Cr0::update(|flags| {
            flags.insert(
                Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR,
            );
            flags.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED);
        });
        Cr4::update(|flags| {
            flags.insert(Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE);
            flags.set(Cr4Flags::OSXSAVE, has_xsave);
            flags.set(Cr4Flags::FSGSBASE, has_fsgsbase);
        });
    }
    if has_xsave {
        let state = cpuid.get_extended_state_info();
        let mut wanted = XCr0Flags::X87 | XCr0Flags::SSE;
        if let Some(state) = &state {
            wanted.set(XCr0Flags::AVX, state.xcr0_supports_avx_256());
            let avx512 = state.xcr0_supports_avx512_opmask()
                && state.xcr0_supports_avx512_zmm_hi256()
                && state.xcr0_supports_avx512_zmm_hi16();
            wanted.set(
                XCr0Flags::OPMASK | XCr0Flags::ZMM_HI256 | XCr0Flags::HI16_ZMM,
                avx512,
            );
        }
        // SAFETY: OSXSAVE is set, and the mask holds only components that CPUID
        // lists, with those that they depend on.
        unsafe { XCr0::write(wanted) };
        if let Some(state) = cpuid.get_extended_state_info() {
            XSAVE_BYTES.store(state.xsave_area_size_enabled_features(), Ordering::Relaxed);
        }
    }
    XSAVE.store(has_xsave, Ordering::Relaxed);
    FSGSBASE.store(has_fsgsbase, Ordering::Relaxed);
}

//! What the CPU must have before a program can run. (Long mode is checked by the
//! entry code: without it, none of this runs.)

use alloc::string::String;

use raw_cpuid::{CpuId, CpuIdReader};

/// The names, separated by commas, of what every program needs and this CPU
/// lacks; `None` when it lacks nothing.
pub fn missing<R: CpuIdReader>(cpu: &CpuId<R>) -> Option<String> {
    let basic = cpu.get_feature_info();
    let extended = cpu.get_extended_processor_and_feature_identifiers();
    let required = [
        ("msr", basic.as_ref().is_some_and(|cpu| cpu.has_msr())),
        ("apic", basic.as_ref().is_some_and(|cpu| cpu.has_apic())),
        ("cx8", basic.as_ref().is_some_and(|cpu| cpu.has_cmpxchg8b())),
        ("cmov", basic.as_ref().is_some_and(|cpu| cpu.has_cmov())),
        (
            "fxsr",
            basic.as_ref().is_some_and(|cpu| cpu.has_fxsave_fxstor()),
        ),
        ("sse", basic.as_ref().is_some_and(|cpu| cpu.has_sse())),
        ("sse2", basic.as_ref().is_some_and(|cpu| cpu.has_sse2())),
        (
            "nx",
            extended
                .as_ref()
                .is_some_and(|cpu| cpu.has_execute_disable()),
        ),
    ];
    let mut names = String::new();
    for (name, present) in required {
        if !present {
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(name);
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Whether the CPU can map 1 GiB with one page table entry.
pub fn has_gib_pages<R: CpuIdReader>(cpu: &CpuId<R>) -> bool {
    cpu.get_extended_processor_and_feature_identifiers()
        .is_some_and(|cpu| cpu.has_1gib_pages())
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_cpuid::CpuIdResult;

    const NX: u32 = 1 << 20;
    const GIB_PAGES: u32 = 1 << 26;

    /// A CPU with the given words for leaf 1 and leaf 0x8000_0001.
    fn cpu(basic: u32, extended: u32) -> CpuId<impl CpuIdReader> {
        CpuId::with_cpuid_fn(move |leaf, _| {
            let (eax, edx) = match leaf {
                0 => (1, 0),
                1 => (0, basic),
                0x8000_0000 => (0x8000_0001, 0),
                0x8000_0001 => (0, extended),
                _ => (0, 0),
            };
            // The vendor is AMD's: raw-cpuid reads some leaves by vendor.
            match leaf {
                0 | 0x8000_0000 => CpuIdResult {
                    eax,
                    ebx: 0x6874_7541,
                    ecx: 0x444d_4163,
                    edx: 0x6974_6e65,
                },
                _ => CpuIdResult {
                    eax,
                    ebx: 0,
                    ecx: 0,
                    edx,
                },
            }
        })
    }

    #[test]
    fn a_complete_cpu_lacks_nothing() {
        assert_eq!(missing(&cpu(!0, NX)), None);
    }

    #[test]
    fn what_is_lacking_is_named() {
        assert_eq!(missing(&cpu(!(1 << 26), 0)).as_deref(), Some("sse2, nx"));
    }

    #[test]
    fn gib_pages_are_asked_for() {
        assert!(has_gib_pages(&cpu(!0, GIB_PAGES)));
        assert!(!has_gib_pages(&cpu(!0, NX)));
    }
}

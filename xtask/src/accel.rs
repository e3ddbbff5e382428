//! Which of QEMU's accelerators to use: hardware (KVM) or emulation (TCG).

use std::fs;

use crate::error::{Error, Result};

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// What the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// This one or none.
    Exactly(Accelerator),
}

impl Choice {
    /// Reads the value of `--accel`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Exactly(Accelerator::Kvm)),
            "tcg" => Ok(Self::Exactly(Accelerator::Tcg)),
            other => Err(Error::usage(format!(
                "found --accel {other}, expected auto, kvm or tcg"
            ))),
        }
    }

    /// What this comes to on this machine.
    pub fn resolve(self) -> Result<Accelerator> {
        match self {
            Self::Exactly(Accelerator::Tcg) => Ok(Accelerator::Tcg),
            Self::Exactly(Accelerator::Kvm) => match probe_kvm() {
                Ok(()) => Ok(Accelerator::Kvm),
                Err(reason) => Err(Error::usage(format!(
                    "--accel kvm does not work here: {reason}; use --accel tcg or leave the option out"
                ))),
            },
            Self::Auto if probe_kvm().is_ok() => Ok(Accelerator::Kvm),
            Self::Auto => Ok(Accelerator::Tcg),
        }
    }
}

/// Whether KVM works, or why not. That /dev/kvm opens is not enough: without
/// the processor's own support, what answers there cannot run kernel code.
pub fn probe_kvm() -> std::result::Result<(), String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !has_virtualization(&cpus) {
        return Err("the processor shows neither `vmx` nor `svm` in /proc/cpuinfo".into());
    }
    match fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
    {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("/dev/kvm does not open: {error}")),
    }
}

fn has_virtualization(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

#[cfg(test)]
mod tests {
    use super::has_virtualization;

    #[test]
    fn the_flag_is_a_word_of_its_own() {
        assert!(has_virtualization("processor: 0\nflags\t\t: fpu vmx sse\n"));
        assert!(!has_virtualization(
            "flags\t\t: fpu svm_lock sse\nbugs: vmx\n"
        ));
    }
}

//! What a virtual machine is made of.

use std::path::PathBuf;
use std::time::Duration;

use super::network::Network;
use crate::accel;
use crate::error::{Error, Result};

/// QEMU's machine types that the kernel runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// A PC with PCI Express.
    #[default]
    Q35,
    /// No PCI, next to no firmware.
    Microvm,
}

impl Machine {
    /// Reads the value of `--machine`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "q35" => Ok(Self::Q35),
            "microvm" => Ok(Self::Microvm),
            other => Err(Error::usage(format!(
                "found --machine {other}, expected q35 or microvm"
            ))),
        }
    }

    /// Its name, as in [`Self::parse`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
        }
    }

    /// The value of QEMU's `-machine`.
    pub fn option(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            // What the kernel uses: COM1, the clock chips (to measure the
            // processor's by), ACPI's tables; not the old interrupt controller.
            Self::Microvm => {
                "microvm,acpi=on,rtc=on,pit=on,pic=off,isa-serial=on,auto-kernel-cmdline=off"
            }
        }
    }
}

/// How the machine is built; what runs on it is [`Guest`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The machine type.
    pub machine: Machine,
    /// Hardware or emulation.
    pub accel: accel::Choice,
    /// How many CPUs.
    pub cpus: u32,
    /// How much memory, in MiB.
    pub memory_mib: u64,
    /// QEMU's `-cpu`.
    pub cpu_model: String,
    /// Whether time is counted in instructions.
    pub icount: bool,
    /// Whether emulated CPUs take turns on one thread of the host, instead of each
    /// having its own. One that waits for another then gives way at once, instead of
    /// keeping a CPU of the host busy that the other may need. KVM knows nothing of
    /// it.
    pub in_turns: bool,
    /// Whether to wait for a debugger before the first instruction.
    pub gdb: bool,
    /// Where the guest's trace goes, as the kernel writes it.
    pub trace: Option<PathBuf>,
    /// Whether the kernel reports at the end how memory was used.
    pub stats: bool,
    /// Its network cards.
    pub network: Network,
    /// Whether it has a device that random bytes come from.
    pub entropy: bool,
    /// More options for QEMU, after all others.
    pub more_args: Vec<String>,
    /// When to give up.
    pub timeout: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            machine: Machine::Q35,
            accel: accel::Choice::Auto,
            cpus: 1,
            memory_mib: 256,
            cpu_model: "max".into(),
            icount: false,
            in_turns: false,
            gdb: false,
            trace: None,
            stats: false,
            network: Network::default(),
            entropy: false,
            more_args: Vec::new(),
            timeout: None,
        }
    }
}

impl Config {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<()> {
        if !(1..=64).contains(&self.cpus) {
            return Err(Error::usage(format!(
                "found --smp {}, expected 1 to 64",
                self.cpus
            )));
        }
        if self.icount && self.cpus != 1 {
            return Err(Error::usage(format!(
                "--icount counts the instructions of one CPU: found --smp {}, expected --smp 1",
                self.cpus
            )));
        }
        if self.icount && self.accel == accel::Choice::Exactly(accel::Accelerator::Kvm) {
            return Err(Error::usage(
                "--icount needs --accel tcg: KVM does not count instructions",
            ));
        }
        if self.memory_mib == 0 {
            return Err(Error::usage("found --mem 0, expected at least 1 MiB"));
        }
        Ok(())
    }
}

/// What is started on the machine.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The loader's ELF file.
    pub loader: PathBuf,
    /// The archive of program and files (or the program alone).
    pub initrd: PathBuf,
    /// The program's name: its `argv[0]`.
    pub name: String,
    /// The kernel's log level.
    pub log: Option<String>,
    /// Environment variables, `KEY=VALUE`.
    pub env: Vec<String>,
    /// The program's arguments.
    pub args: Vec<String>,
}

//! What the guest reports on its control channel, one record a line.

use std::collections::BTreeMap;

use darner_abi::{NodeStatistics, Snapshot};

/// Time-stamp counters at the stations of a boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Ticks in a millisecond.
    pub tsc_khz: u64,
    /// At the loader's first instruction. The counter starts at reset, so this
    /// is what the firmware took.
    pub loader: u64,
    /// At the kernel's first instruction.
    pub kernel: u64,
    /// At the jump into std.
    pub std: u64,
    /// At the program's first output, or its end.
    pub main: u64,
}

impl Boot {
    fn parse(fields: &str) -> Option<Self> {
        let field = |name: &str| {
            fields
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        Some(Self {
            tsc_khz: field("tsc_khz").filter(|khz| *khz > 0)?,
            loader: field("loader")?,
            kernel: field("kernel")?,
            std: field("std")?,
            main: field("main")?,
        })
    }

    /// The line for the user.
    pub fn line(&self) -> String {
        let ms = |ticks: u64| ticks as f64 / self.tsc_khz as f64;
        format!(
            "booted in {:.0} ms (firmware {:.1}, loader {:.1}, kernel {:.1}, std {:.1})",
            ms(self.main),
            ms(self.loader),
            ms(self.kernel.saturating_sub(self.loader)),
            ms(self.std.saturating_sub(self.kernel)),
            ms(self.main.saturating_sub(self.std)),
        )
    }
}

/// Why a guest ended other than by its own will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// The program panicked or aborted.
    ProgramPanic,
    /// The kernel did.
    KernelPanic,
    /// The program did what the CPU forbids.
    Fault(String),
    /// Loader or kernel refuse to start: what they said.
    Refused(String),
}

/// All that a guest reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How long it took to boot.
    pub boot: Option<Boot>,
    /// The program's exit status.
    pub exit: Option<u8>,
    /// What killed it. The first cause counts.
    pub death: Option<Death>,
    /// Link-time addresses, innermost frame first.
    pub backtrace: Vec<u64>,
    /// The link-time address of a variable of the program that was lost.
    pub variable: Option<u64>,
    /// How memory was used, where that was asked for.
    pub stats: Option<Box<Snapshot>>,
    /// The node has left the cluster, as it was told to.
    pub is_drained: bool,
    /// What the nodes of the cluster have counted, where that was asked for.
    pub cluster: BTreeMap<u16, NodeStatistics>,
}

/// What a record makes xtask do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// The guest can take input.
    InputReady,
    /// The guest has booted; it can take input, too.
    Booted,
    /// The guest is ending.
    Exiting,
}

impl Report {
    /// Takes in one record.
    pub fn take(&mut self, record: &str) -> News {
        let (kind, rest) = record
            .trim_end()
            .split_once(' ')
            .unwrap_or((record.trim_end(), ""));
        match kind {
            "stdin" => return News::InputReady,
            "boot" => {
                self.boot = Boot::parse(rest);
                return News::Booted;
            }
            "exit" => {
                self.exit = rest.trim().parse::<i64>().ok().map(|status| status as u8);
                return News::Exiting;
            }
            "stats" => match rest.strip_prefix("cluster/") {
                Some(counted) => self.take_counted(counted),
                None => {
                    self.stats.get_or_insert_default().take(rest);
                }
            },
            "panic" if rest == "kernel" => self.died(Death::KernelPanic),
            "panic" => self.died(Death::ProgramPanic),
            "fault" => self.died(Death::Fault(rest.to_owned())),
            "loader-error" | "kernel-error" => self.died(Death::Refused(rest.to_owned())),
            "drained" => self.is_drained = true,
            "variable" => self.variable = u64::from_str_radix(rest.trim(), 16).ok(),
            "bt" => self
                .backtrace
                .extend(u64::from_str_radix(rest.trim_start_matches("0x"), 16)),
            _ => {}
        }
        News::None
    }

    /// What a node has counted, or a part of that: its number, and the numbers.
    fn take_counted(&mut self, counted: &str) {
        let (node, numbers) = counted.split_once(' ').unwrap_or((counted, ""));
        if let Ok(node) = node.parse() {
            self.cluster.entry(node).or_default().take(numbers);
        }
    }

    fn died(&mut self, death: Death) {
        if self.death.is_none() {
            self.death = Some(death);
            self.backtrace.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Death, News, Report};

    #[test]
    fn a_boot_is_told_in_milliseconds() {
        let mut report = Report::default();
        assert_eq!(
            report.take("boot tsc_khz=1000 loader=2000 kernel=3500 std=9000 main=10000\n"),
            News::Booted
        );
        assert_eq!(
            report.boot.unwrap().line(),
            "booted in 10 ms (firmware 2.0, loader 1.5, kernel 5.5, std 1.0)"
        );
    }

    #[test]
    fn the_first_cause_of_death_is_kept() {
        let mut report = Report::default();
        report.take("fault page fault at 0x0");
        report.take("bt 1f00");
        report.take("panic kernel");
        assert_eq!(report.take("exit 139"), News::Exiting);
        assert_eq!(report.death, Some(Death::Fault("page fault at 0x0".into())));
        assert_eq!((report.backtrace, report.exit), (vec![0x1f00], Some(139)));
    }

    #[test]
    fn numbers_come_one_by_one() {
        let mut report = Report::default();
        report.take("stats node cpus=2 memory_free=5");
        report.take("stats program/3 size=32 zones=1");
        let stats = report.stats.unwrap();
        assert_eq!((stats.node.cpus, stats.node.memory_free), (2, 5));
        assert_eq!(stats.program.classes[3].size, 32);
    }

    #[test]
    fn nodes_are_told_apart() {
        let mut report = Report::default();
        for record in [
            "stats cluster/1 0=5",
            "stats cluster/0",
            "stats cluster/1 1=2",
            "stats cluster/x 0=1",
        ] {
            report.take(record);
        }
        assert_eq!(report.cluster.len(), 2);
        assert_eq!(report.cluster[&1].words()[..3], [5, 2, 0]);
        assert_eq!(report.stats, None);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut report = Report::default();
        for record in [
            "",
            "boot",
            "boot tsc_khz=0 loader=1 kernel=1 std=1 main=1",
            "bt xyz",
            "exit",
            "\u{fffd}",
        ] {
            report.take(record);
        }
        assert_eq!(report, Report::default());
    }
}

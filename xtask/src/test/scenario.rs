//! A test that is one run of a program in a VM: what goes in and what must
//! come out.

use std::time::Duration;

use super::case::{Case, Failure, Verdict};
use super::suite::{Given, Suite};
use crate::initrd::Share;
use crate::kernel::Profile;
use crate::run;
use crate::vm::{Config, Death, End, Machine, Outcome};

/// How long a VM may take, unless a test says otherwise. An emulated CPU on a
/// busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a run must end.
#[derive(Clone, Debug)]
enum Ending {
    Status(u8),
    ProgramPanicked,
    TimedOut,
    Refused(&'static str),
    QemuFailed(&'static str),
    Died,
}

/// Computes an expectation from the surroundings.
type Expected = Box<dyn Fn(&Suite) -> Result<Vec<u8>, String> + Send + Sync>;

/// See the module.
pub struct Scenario {
    name: String,
    program: &'static str,
    profile: Profile,
    config: Config,
    args: Vec<String>,
    env: Vec<String>,
    shares: Vec<Share>,
    input: Vec<u8>,
    unread_for: Duration,
    ending: Ending,
    /// What standard output must be, to the byte.
    output: Option<Expected>,
    in_output: Vec<String>,
    not_in_output: Vec<String>,
    /// Found in standard error, the report of a fault, or the backtrace.
    in_report: Vec<String>,
    in_backtrace: Vec<String>,
}

impl Scenario {
    /// A run of a program in the release profile, on one CPU of q35, that must
    /// end well.
    pub fn new(name: impl Into<String>, program: &'static str, args: &[&str]) -> Self {
        Self {
            name: name.into(),
            program,
            profile: Profile::Release,
            config: Config {
                timeout: Some(PATIENCE),
                ..Config::default()
            },
            args: args.iter().map(|&word| word.to_owned()).collect(),
            env: Vec::new(),
            shares: Vec::new(),
            input: Vec::new(),
            unread_for: Duration::ZERO,
            ending: Ending::Status(0),
            output: None,
            in_output: Vec::new(),
            not_in_output: Vec::new(),
            in_report: Vec::new(),
            in_backtrace: Vec::new(),
        }
    }

    /// Gives the test another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Gives the program other arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Runs it in this profile.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Runs it on this machine.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.config.machine = machine;
        self
    }

    /// Runs it on so many CPUs.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.config.cpus = cpus;
        self
    }

    /// Lets its CPUs take turns, where they are emulated.
    pub fn in_turns(mut self, in_turns: bool) -> Self {
        self.config.in_turns = in_turns;
        self
    }

    /// Gives it so much memory.
    pub fn memory(mut self, mib: u64) -> Self {
        self.config.memory_mib = mib;
        self
    }

    /// Gives it so much time.
    pub fn patience(mut self, time: Duration) -> Self {
        self.config.timeout = Some(time);
        self
    }

    /// Gives it this CPU model.
    pub fn cpu_model(mut self, model: &str) -> Self {
        self.config.cpu_model = model.to_owned();
        self
    }

    /// Gives it a device that random bytes come from.
    pub fn entropy(mut self) -> Self {
        self.config.entropy = true;
        self
    }

    /// Gives QEMU more options.
    pub fn qemu_args(mut self, args: &[&str]) -> Self {
        self.config.more_args = args.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, variable: &str) -> Self {
        self.env.push(variable.to_owned());
        self
    }

    /// Gives the guest a file or folder of the host.
    pub fn share(mut self, host: impl Into<std::path::PathBuf>, guest: &str) -> Self {
        self.shares.push(Share {
            host: host.into(),
            guest: guest.trim_start_matches('/').into(),
        });
        self
    }

    /// Gives it this standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// It must end with this status.
    pub fn status(mut self, status: u8) -> Self {
        self.ending = Ending::Status(status);
        self
    }

    /// The program must panic or abort, and not the kernel.
    pub fn program_panics(mut self) -> Self {
        self.ending = Ending::ProgramPanicked;
        self
    }

    /// It must still run after so many seconds.
    pub fn times_out(mut self, seconds: u64) -> Self {
        self.ending = Ending::TimedOut;
        self.config.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// Loader or kernel must refuse to start and say this.
    pub fn refused(mut self, because: &'static str) -> Self {
        self.ending = Ending::Refused(because);
        self
    }

    /// QEMU itself must refuse to start and say this.
    pub fn qemu_fails(mut self, because: &'static str) -> Self {
        self.ending = Ending::QemuFailed(because);
        self
    }

    /// QEMU must end without the guest's exit record.
    pub fn dies(mut self) -> Self {
        self.ending = Ending::Died;
        self
    }

    /// Its standard output must be this, to the byte.
    pub fn output(
        mut self,
        expected: impl Fn(&Suite) -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        self.output = Some(Box::new(expected));
        self
    }

    /// Its standard output is not read before so much time has passed.
    pub fn unread_for(mut self, time: Duration) -> Self {
        self.unread_for = time;
        self
    }

    /// Its standard output must contain this.
    pub fn prints(mut self, text: impl Into<String>) -> Self {
        self.in_output.push(text.into());
        self
    }

    /// Its standard output must not contain this.
    pub fn never_prints(mut self, text: impl Into<String>) -> Self {
        self.not_in_output.push(text.into());
        self
    }

    /// Its standard error, or the report of a fault, must contain this.
    pub fn reports(mut self, text: impl Into<String>) -> Self {
        self.in_report.push(text.into());
        self
    }

    /// The symbolised backtrace must contain this.
    pub fn traces(mut self, text: impl Into<String>) -> Self {
        self.in_backtrace.push(text.into());
        self
    }

    /// The test that this describes.
    pub fn case(self) -> Case {
        Case::new(self.name.clone(), move |suite| self.run(suite))
    }

    fn run(&self, suite: &Suite) -> Verdict {
        let program = suite.program(self.program, self.profile)?;
        let given = Given {
            args: &self.args,
            env: &self.env,
            shares: &self.shares,
            input: &self.input,
            unread_for: self.unread_for,
        };
        let outcome = suite.boot(&self.name, &program, &self.config, given)?;
        let backtrace = run::backtrace(&suite.set, &program, &outcome)?.unwrap_or_default();
        match self.judge(suite, &outcome, &backtrace) {
            Ok(()) => Ok(()),
            Err(reason) => Err(Failure {
                reason,
                outcome: Some(Box::new(outcome)),
            }),
        }
    }

    fn judge(&self, suite: &Suite, outcome: &Outcome, backtrace: &str) -> Result<(), String> {
        self.judge_ending(outcome)?;
        let stdout = String::from_utf8_lossy(&outcome.stdout);
        if let Some(expected) = &self.output {
            let expected = expected(suite)?;
            if outcome.stdout != expected {
                return Err(format!(
                    "standard output differs from what it has to be:\n{}",
                    String::from_utf8_lossy(&expected)
                ));
            }
        }
        let mut report = String::from_utf8_lossy(&outcome.stderr).into_owned();
        if let Some(Death::Fault(text)) = &outcome.report.death {
            report.push_str(text);
        }
        let texts = [
            ("standard output", &*stdout, &self.in_output),
            ("standard error or the report", &report, &self.in_report),
            ("the backtrace", backtrace, &self.in_backtrace),
        ];
        for (what, text, wanted) in texts {
            if let Some(missing) = wanted.iter().find(|wanted| !text.contains(wanted.as_str())) {
                return Err(format!("{what} does not contain `{missing}`:\n{text}"));
            }
        }
        match self
            .not_in_output
            .iter()
            .find(|text| stdout.contains(text.as_str()))
        {
            Some(found) => Err(format!("standard output contains `{found}`")),
            None => Ok(()),
        }
    }

    fn judge_ending(&self, outcome: &Outcome) -> Result<(), String> {
        let is_right = match (&self.ending, &outcome.end) {
            (Ending::Status(expected), End::Exited(status)) => {
                expected == status && !matches!(outcome.report.death, Some(Death::Refused(_)))
            }
            (Ending::ProgramPanicked, End::Exited(101)) => {
                outcome.report.death == Some(Death::ProgramPanic)
            }
            (Ending::TimedOut, End::TimedOut(_)) => true,
            (Ending::Refused(because), End::Exited(1)) => {
                matches!(&outcome.report.death, Some(Death::Refused(said)) if said.contains(because))
            }
            (Ending::Died, End::Died { status, .. }) => status.success(),
            (Ending::QemuFailed(because), End::Died { said, .. }) => said.contains(because),
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        Err(format!(
            "found {:?} ({:?}), expected {:?}",
            outcome.end, outcome.report.death, self.ending
        ))
    }
}

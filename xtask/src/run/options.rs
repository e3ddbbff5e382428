//! The command line of `xtask run`.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::accel;
use crate::error::{Error, Result};
use crate::initrd::Share;
use crate::kernel::Profile;
use crate::vm::{Config, Machine};

/// What `xtask run` is asked for.
#[derive(Debug)]
pub struct Options {
    /// The program: a name or a path.
    pub app: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it is compiled.
    pub profile: Profile,
    /// The machine that it runs on.
    pub config: Config,
    /// Its environment, `KEY=VALUE`.
    pub env: Vec<String>,
    /// Its files.
    pub shares: Vec<Share>,
    /// The kernel's log level.
    pub log: Option<String>,
    /// Where the trace goes, if there is to be one.
    pub trace: Option<PathBuf>,
    /// Whether to show QEMU's command line.
    pub verbose: bool,
}

impl Options {
    /// Reads the command line after `run`, or after `trace` (`traced`).
    pub fn parse(mut parser: lexopt::Parser, traced: bool) -> Result<Self> {
        let mut trace = None;
        let mut app = None;
        let mut args = Vec::new();
        let mut profile = Profile::Release;
        let mut config = Config::default();
        let (mut env, mut shares, mut log, mut verbose) = (Vec::new(), Vec::new(), None, false);
        loop {
            // What follows `--` is the program's, whatever it looks like.
            if let Some(mut rest) = parser.try_raw_args()
                && rest.peek().is_some_and(|word| word == "--")
            {
                rest.next();
                for word in rest {
                    args.push(word.string()?);
                }
                break;
            }
            let Some(argument) = parser.next()? else {
                break;
            };
            match argument {
                Long("smp") => config.cpus = number("--smp", &parser.value()?.string()?)?,
                Long("mem") => config.memory_mib = memory(&parser.value()?.string()?)?,
                Long("release") => profile = Profile::Release,
                Long("debug") => profile = Profile::Debug,
                Long("machine") => config.machine = Machine::parse(&parser.value()?.string()?)?,
                Long("accel") => config.accel = accel::Choice::parse(&parser.value()?.string()?)?,
                Long("cpu") => config.cpu_model = parser.value()?.string()?,
                Long("icount") => config.icount = true,
                Long("stats") => config.stats = true,
                Long("gdb") => config.gdb = true,
                Long("log") => log = Some(log_level(parser.value()?.string()?)?),
                Long("timeout") => config.timeout = Some(seconds(&parser.value()?.string()?)?),
                Long("env") => env.push(variable(parser.value()?.string()?)?),
                Long("file") => shares.push(Share::parse(&parser.value()?.string()?, false)?),
                Long("dir") => shares.push(Share::parse(&parser.value()?.string()?, true)?),
                Long("vmm") => {
                    let vmm = parser.value()?.string()?;
                    if vmm != "qemu" {
                        return Err(Error::usage(format!(
                            "found --vmm {vmm}, expected qemu: it is the only one yet"
                        )));
                    }
                }
                Long("out") if traced => trace = Some(PathBuf::from(parser.value()?)),
                Short('v') | Long("verbose") => verbose = true,
                Value(name) if app.is_none() => app = Some(name.string()?),
                Value(word) => {
                    return Err(Error::usage(format!(
                        "found `{}` after the program's name: put the program's arguments after `--`",
                        word.to_string_lossy()
                    )));
                }
                other => return Err(other.unexpected().into()),
            }
        }
        if traced && trace.is_none() {
            return Err(Error::usage(
                "found no --out, expected `cargo xtask trace APP --out FILE.json`",
            ));
        }
        config.more_args = more_args()?;
        config.check()?;
        let app = app.ok_or_else(|| Error::usage("found no program to run, expected `cargo xtask run APP` (a name of apps/, or a path)"))?;
        Ok(Self {
            app,
            args,
            profile,
            config,
            env,
            shares,
            log,
            trace,
            verbose,
        })
    }
}

/// An environment variable with more options for QEMU, for looking closer:
/// `DARNER_QEMU_ARGS="-d int -D /tmp/qemu.log"`.
const MORE_ARGS: &str = "DARNER_QEMU_ARGS";

fn more_args() -> Result<Vec<String>> {
    let words = std::env::var(MORE_ARGS).unwrap_or_default();
    shell_words::split(&words).map_err(|error| {
        Error::usage(format!(
            "{MORE_ARGS}: {error}, expected words quoted as for a shell"
        ))
    })
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Error::usage(format!("found {option} {text}, expected a number")))
}

/// Memory in MiB; `512`, `512M` and `1G` are understood.
fn memory(text: &str) -> Result<u64> {
    let (digits, factor) = match text.trim_end_matches("iB").strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (text.trim_end_matches("iB").trim_end_matches(['M', 'm']), 1),
    };
    let value: u64 = digits
        .parse()
        .map_err(|_| Error::usage(format!("found --mem {text}, expected MiB, as in 512 or 1G")))?;
    Ok(value.saturating_mul(factor))
}

fn seconds(text: &str) -> Result<Duration> {
    text.parse()
        .ok()
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Error::usage(format!("found --timeout {text}, expected seconds")))
}

fn log_level(text: String) -> Result<String> {
    match text.as_str() {
        "off" | "error" | "warn" | "info" | "debug" | "trace" => Ok(text),
        other => Err(Error::usage(format!(
            "found --log {other}, expected off, error, warn, info, debug or trace"
        ))),
    }
}

fn variable(text: String) -> Result<String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text),
        _ => Err(Error::usage(format!(
            "found --env {text}, expected --env KEY=VALUE"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::vm::Machine;

    fn parse(words: &[&str]) -> crate::error::Result<Options> {
        Options::parse(lexopt::Parser::from_args(words), false)
    }

    #[test]
    fn options_may_stand_on_either_side_of_the_name() {
        let options = parse(&[
            "--smp",
            "4",
            "hello",
            "--mem=1G",
            "--machine",
            "microvm",
            "--",
            "--smp",
            "x",
            "--",
        ])
        .unwrap();
        assert_eq!(
            (
                options.app.as_str(),
                options.config.cpus,
                options.config.memory_mib
            ),
            ("hello", 4, 1024)
        );
        assert_eq!(options.config.machine, Machine::Microvm);
        assert_eq!(options.args, ["--smp", "x", "--"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for words in [
            &["hello", "--smp", "0"][..],
            &["hello", "--smp", "65"],
            &["hello", "--smp", "2", "--icount"],
            &["hello", "--mem", "lots"],
            &["hello", "--timeout", "-1"],
            &["hello", "--env", "novalue"],
            &["hello", "--log", "loud"],
            &["hello", "stray"],
            &["hello", "--accel", "magic"],
            &[],
        ] {
            assert_eq!(parse(words).unwrap_err().status(), 2, "{words:?}");
        }
    }
}

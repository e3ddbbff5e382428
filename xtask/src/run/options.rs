//! The command line of `xtask run`, which other commands extend.

use std::time::Duration;

use lexopt::Parser;
use lexopt::prelude::*;

use super::network_options::NetworkOptions;

use crate::accel;
use crate::error::{Error, Result};
use crate::initrd::Share;
use crate::kernel::Profile;
use crate::vm::{Config, Machine};

/// What `xtask run` is asked for, and every command that runs a program.
#[derive(Debug)]
pub struct Options {
    /// The program: a name or a path.
    pub app: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it is compiled.
    pub profile: Profile,
    /// The machine that it runs on; its network is yet to come.
    pub config: Config,
    /// The machine's network.
    pub network: NetworkOptions,
    /// Its environment, `KEY=VALUE`.
    pub env: Vec<String>,
    /// Its files.
    pub shares: Vec<Share>,
    /// The kernel's log level.
    pub log: Option<String>,
    /// Whether to show QEMU's command line.
    pub verbose: bool,
}

/// Takes the options that one command has and the others have not: told the option's
/// name, it says whether it was one of these.
pub type More<'a> = &'a mut dyn FnMut(&str, &mut Parser) -> Result<bool>;

/// For a command that has no options of its own.
pub fn nothing_more(_: &str, _: &mut Parser) -> Result<bool> {
    Ok(false)
}

impl Options {
    /// Reads the command line after the command's name.
    pub fn parse(mut parser: Parser, network: NetworkOptions, more: More) -> Result<Self> {
        let mut app = None;
        let mut options = Self {
            app: String::new(),
            args: Vec::new(),
            profile: Profile::Release,
            config: Config {
                entropy: true,
                ..Config::default()
            },
            network,
            env: Vec::new(),
            shares: Vec::new(),
            log: None,
            verbose: false,
        };
        loop {
            // What follows `--` is the program's, whatever it looks like.
            if let Some(mut rest) = parser.try_raw_args()
                && rest.peek().is_some_and(|word| word == "--")
            {
                rest.next();
                for word in rest {
                    options.args.push(word.string()?);
                }
                break;
            }
            let Some(argument) = parser.next()? else {
                break;
            };
            let option = match argument {
                Long(name) => format!("--{name}"),
                Short(letter) => format!("-{letter}"),
                Value(name) if app.is_none() => {
                    app = Some(name.string()?);
                    continue;
                }
                Value(word) => {
                    return Err(Error::usage(format!(
                        "found `{}` after the program's name: put the program's arguments after `--`",
                        word.to_string_lossy()
                    )));
                }
            };
            let is_known = more(&option, &mut parser)?
                || options.network.take(&option, &mut parser)?
                || options.take(&option, &mut parser)?;
            if !is_known {
                return Err(lexopt::Error::UnexpectedOption(option).into());
            }
        }
        options.config.more_args = more_args()?;
        options.config.check()?;
        options.app = app.ok_or_else(|| {
            Error::usage(
                "found no program to run, expected `cargo xtask run APP` (a name of apps/, or a path)",
            )
        })?;
        Ok(options)
    }

    /// Takes the option if it is about the program or its machine.
    fn take(&mut self, option: &str, parser: &mut Parser) -> Result<bool> {
        let config = &mut self.config;
        let mut value = || -> Result<String> { Ok(parser.value()?.string()?) };
        match option {
            "--smp" => config.cpus = number(option, &value()?)?,
            "--mem" => config.memory_mib = memory(&value()?)?,
            "--release" => self.profile = Profile::Release,
            "--debug" => self.profile = Profile::Debug,
            "--machine" => config.machine = Machine::parse(&value()?)?,
            "--accel" => config.accel = accel::Choice::parse(&value()?)?,
            "--cpu" => config.cpu_model = value()?,
            "--icount" => config.icount = true,
            "--stats" => config.stats = true,
            "--gdb" => config.gdb = true,
            "--log" => self.log = Some(log_level(value()?)?),
            "--timeout" => config.timeout = Some(seconds(&value()?)?),
            "--env" => self.env.push(variable(value()?)?),
            "--file" => self.shares.push(Share::parse(&value()?, false)?),
            "--dir" => self.shares.push(Share::parse(&value()?, true)?),
            "--vmm" => {
                let vmm = value()?;
                if vmm != "qemu" {
                    return Err(Error::usage(format!(
                        "found --vmm {vmm}, expected qemu: it is the only one yet"
                    )));
                }
            }
            "-v" | "--verbose" => self.verbose = true,
            _ => return Ok(false),
        }
        Ok(true)
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

/// A number after an option.
pub fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T> {
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
    use super::{Options, nothing_more};
    use crate::vm::Machine;

    fn parse(words: &[&str]) -> crate::error::Result<Options> {
        let parser = lexopt::Parser::from_args(words);
        Options::parse(parser, Default::default(), &mut nothing_more)
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
            &["hello", "--out", "x"],
            &["hello", "--net", "cable"],
            &["hello", "--verbose=yes"],
            &["hello", "-x"],
            &[],
        ] {
            assert_eq!(parse(words).unwrap_err().status(), 2, "{words:?}");
        }
    }
}

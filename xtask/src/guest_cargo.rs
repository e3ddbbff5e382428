//! cargo for programs: how it is called to build one for the guest, and what
//! its messages say that it made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{self, Guarded};
use crate::error::{Context, Error, Result};
use crate::kernel::Profile;
use crate::toolchain::Toolchain;
use crate::workspace;

/// What programs are compiled for.
pub const TARGET: &str = "x86_64-unknown-hermit";

/// What a build made to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Where it is.
    pub path: PathBuf,
    /// The target of its package that it was made of.
    pub target: String,
    /// Whether that is the library: then these are the tests inside it.
    pub of_library: bool,
}

/// `cargo SUBCOMMAND`, run in `folder`, where it finds its configuration. It
/// builds the crates `std` of the standard library and, for a program that
/// depends on `hermit`, the kernel: by this very xtask, in the folder that all
/// programs share.
pub fn command(
    toolchain: &Toolchain,
    root: &Path,
    folder: &Path,
    subcommand: &str,
    std: &str,
    profile: Profile,
) -> Result<Command> {
    // The backtrace of a panic is a walk along the frame pointers. Functions that call none
    // are not on the way, and every allocation goes through two that only jump on.
    let flags = match profile {
        Profile::Debug => r#""-Cforce-frame-pointers=yes""#,
        Profile::Release => r#""-Zunstable-options", "-Cforce-frame-pointers=non-leaf""#,
    };
    let xtask = std::env::current_exe().context(|| "find xtask's own executable".into())?;
    let mut cargo = toolchain.cargo_with_std(folder, subcommand);
    cargo
        .env("DARNER_XTASK", xtask)
        .env(
            "DARNER_KERNEL_TARGET_DIR",
            workspace::target_dir(root).join("kernel"),
        )
        .arg(format!("-Zbuild-std={std}"))
        .args(["--target", TARGET, "--profile", profile.name()])
        .args(["--config", &format!("target.{TARGET}.rustflags=[{flags}]")]);
    Ok(cargo)
}

/// Runs a build to its end; gives the executables that it made. `what` is for
/// the error, as in "the program `hello`". The command must not have arguments
/// behind `--`: those come in `last`.
pub fn executables(mut cargo: Command, last: &[String], what: &str) -> Result<Vec<Executable>> {
    cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .args(["--message-format", "json-render-diagnostics"]);
    if !last.is_empty() {
        cargo.arg("--").args(last);
    }
    let mut child = Guarded::spawn(&mut cargo)?;
    // cargo's messages come to an end when it does.
    let messages = match child.0.stdout.take() {
        Some(stdout) => std::thread::spawn(move || std::io::read_to_string(stdout)),
        None => return Err(Error::failed("cargo was started without its output")),
    };
    let status = child.wait(&cargo)?;
    let messages = messages
        .join()
        .map_err(|_| Error::failed("the reader of cargo's messages panicked"))?
        .context(|| "read cargo's messages".into())?;
    if !status.success() {
        return Err(Error::failed(format!(
            "{what} did not build ({status}): `{}`",
            command::shown(&cargo)
        )));
    }
    Ok(made(&messages))
}

/// The executables that cargo's messages, one JSON object a line, tell of.
fn made(messages: &str) -> Vec<Executable> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let target = &message["target"];
            Some(Executable {
                path: message["executable"].as_str()?.into(),
                target: target["name"].as_str().unwrap_or_default().to_owned(),
                of_library: target["kind"][0] == "lib",
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Executable, made};

    #[test]
    fn executables_are_found_among_cargos_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"kind":["lib"],"name":"hello"},"executable":null}
            {"reason":"compiler-artifact","target":{"kind":["bin"],"name":"hello"},"executable":"/t/hello"}
            {"reason":"compiler-artifact","target":{"kind":["lib"],"name":"hello"},"executable":"/t/hello-1"}
            {"reason":"build-finished","success":true}
        "#;
        let expected =
            [("/t/hello", false), ("/t/hello-1", true)].map(|(path, of_library)| Executable {
                path: path.into(),
                target: "hello".into(),
                of_library,
            });
        assert_eq!(made(messages), expected);
    }
}

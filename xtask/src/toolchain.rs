//! The Rust toolchain: which compiler, where its parts are, and how to call
//! its cargo so that nothing of an outer build leaks in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Error, Result};
use crate::rust_src;

/// The compiler release that the repository is written for.
const RELEASE: &str = "1.95";

/// A compiler with everything that the kernel needs of it.
pub struct Toolchain {
    sysroot: PathBuf,
    host: String,
    version: String,
    cargo: OsString,
    rustc: OsString,
}

impl Toolchain {
    /// The toolchain that is in force in the repository, its standard library's
    /// sources fetched if they are not there.
    pub fn ready(root: &Path) -> Result<Self> {
        let toolchain = Self::find(root)?;
        rust_src::ensure(&toolchain)?;
        Ok(toolchain)
    }

    /// The toolchain that is in force in the repository, as it is.
    pub fn find(root: &Path) -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |args: &[&str]| {
            command::output(
                Command::new(&rustc)
                    .args(args)
                    .current_dir(root)
                    .env("RUSTUP_AUTO_INSTALL", "0"),
            )
        };
        let about = ask(&["-vV"]).map_err(|error| {
            Error::usage(format!(
                "{error}\nfound no working Rust compiler; install Rust {RELEASE} (rustup.rs), then try again"
            ))
        })?;
        let field = |name: &str| {
            about
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or("")
                .trim()
                .to_owned()
        };
        let (version, host) = (field("release:"), field("host:"));
        if version
            .strip_prefix(RELEASE)
            .is_none_or(|rest| !rest.starts_with('.'))
            || version.contains('-')
        {
            return Err(Error::usage(format!(
                "found Rust {version}, expected stable {RELEASE}.x: run inside the repository, whose \
                 rust-toolchain.toml names it, or `rustup toolchain install {RELEASE}.0`"
            )));
        }
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim_end());
        let sysroot = sysroot.canonicalize().unwrap_or(sysroot);
        // The toolchain's own programs, not rustup's stand-ins: those choose by
        // folder and environment, and might choose differently for a child.
        let own = |name: &str, variable: &str| {
            let path = sysroot.join("bin").join(name);
            match path.is_file() {
                true => path.into_os_string(),
                false => std::env::var_os(variable).unwrap_or_else(|| name.into()),
            }
        };
        Ok(Self {
            cargo: own("cargo", "CARGO"),
            rustc: own("rustc", "RUSTC"),
            sysroot,
            host,
            version,
        })
    }

    /// The compiler's version, as in `1.95.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The folder that the toolchain is installed in.
    pub fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// `rust-lld`, in any of its roles.
    pub fn linker(&self) -> Result<Command> {
        self.bundled("rust-lld")
    }

    /// `rust-objcopy`.
    pub fn objcopy(&self) -> Result<Command> {
        let mut command = self.bundled("rust-objcopy")?;
        // It is linked to the compiler's LLVM and does not say where that is.
        command.env("LD_LIBRARY_PATH", self.sysroot.join("lib"));
        Ok(command)
    }

    fn bundled(&self, name: &str) -> Result<Command> {
        let path = self
            .sysroot
            .join("lib/rustlib")
            .join(&self.host)
            .join("bin")
            .join(name);
        if !command::is_executable(&path) {
            return Err(Error::usage(format!(
                "found no {} (Rust's own distribution has it): install the toolchain by rustup, or \
                 link your system's lld/llvm-objcopy of the same LLVM there",
                path.display()
            )));
        }
        Ok(Command::new(path))
    }

    /// cargo with an environment of its own: what an outer cargo, a build
    /// script or a lint run has set is for the outer build alone.
    pub fn cargo(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(dir);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_outer_build) {
                command.env_remove(name);
            }
        }
        command
            .env("RUSTC", &self.rustc)
            .env("RUSTUP_AUTO_INSTALL", "0");
        command
    }

    /// [`Self::cargo`] with the stable compiler's leave to build the standard
    /// library from source.
    pub fn cargo_with_std(&self, dir: &Path, subcommand: &str) -> Command {
        let mut command = self.cargo(dir);
        command.env("RUSTC_BOOTSTRAP", "1").arg(subcommand);
        command
    }

    /// `cargo build` in the way of [`Self::cargo_with_std`].
    pub fn cargo_build_std(&self, dir: &Path) -> Command {
        self.cargo_with_std(dir, "build")
    }

    /// As [`Self::cargo_build_std`], of one library, which becomes a static one.
    pub fn cargo_static_library(&self, dir: &Path) -> Command {
        let mut cargo = self.cargo_with_std(dir, "rustc");
        cargo.args(["--crate-type", "staticlib"]);
        cargo
    }
}

/// Whether a variable says something about the build that xtask runs inside
/// of, rather than about the user's machine.
fn is_of_outer_build(name: &str) -> bool {
    const OURS: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
        "CARGO_LOG",
    ];
    const OTHERS: [&str; 15] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTDOC",
        "RUSTC_BOOTSTRAP",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTUP_TOOLCHAIN",
        "OUT_DIR",
        "TARGET",
        "HOST",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "NUM_JOBS",
        "LD_LIBRARY_PATH",
    ];
    OTHERS.contains(&name)
        || name == "CARGO"
        || name.starts_with("CARGO_") && !OURS.iter().any(|ours| name.starts_with(ours))
}

#[cfg(test)]
mod tests {
    use super::is_of_outer_build;

    #[test]
    fn the_outer_builds_variables_are_told_from_the_users() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "CARGO_FEATURE_ACPI",
            "TARGET",
        ] {
            assert!(is_of_outer_build(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "PATH",
            "RUSTUP_HOME",
            "CARGO_REGISTRIES_X_INDEX",
        ] {
            assert!(!is_of_outer_build(name), "{name}");
        }
    }
}

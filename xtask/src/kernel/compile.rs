//! Compiles the static libraries that `libhermit.a` is made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Options, Profile};
use crate::command;
use crate::error::{Error, Result};
use crate::toolchain::Toolchain;

/// The kernel: no vector registers, no red zone, and position-independent, for
/// it becomes part of a static PIE. Frame pointers are what backtraces follow.
/// All that it refers to is in the same image, so nothing needs the detour by
/// the table of global offsets (`plt`, `direct-access-external-data`: there is no
/// stable way to say that); before the kernel relocates itself that table is not
/// even right. The crates of cryptography are told to leave out their variants for vector
/// registers, which the compiler cannot make for this target; `.cargo/config.toml` says the same for
/// builds without xtask.
const KERNEL_TARGET: &str = "x86_64-unknown-none";
const KERNEL_FLAGS: &str = "-Ccode-model=small -Cforce-frame-pointers=yes -Crelocation-model=pie -Cpanic=abort \
     -Zplt=yes -Zdirect-access-external-data=yes --cfg=chacha20_force_soft \
     --cfg=poly1305_force_soft --cfg=curve25519_dalek_backend=\"serial\"";
/// The program's target.
const PROGRAM_TARGET: &str = "x86_64-unknown-hermit";
/// The builtins are called by the program and have its calling convention. They
/// are optimised for whatever profile: without it, clearing a page would take a
/// call for every word of it.
const BUILTINS_FLAGS: &str = "-Cforce-frame-pointers=yes -Cpanic=abort";

/// The cipher is called by the kernel, is part of it, and uses vector registers.
const CIPHER_FLAGS: &str = "-Cforce-frame-pointers=yes -Crelocation-model=pie -Cpanic=abort -Zplt=yes \
     -Zdirect-access-external-data=yes";

/// The static libraries as the compiler made them.
pub struct Parts {
    /// The kernel, with `core`, `alloc` and all.
    pub kernel: PathBuf,
    /// What of the kernel uses vector registers.
    pub cipher: PathBuf,
    /// `memcpy` and its like, and C's mathematics.
    pub builtins: PathBuf,
}

impl Parts {
    /// Compiles all.
    pub fn build(toolchain: &Toolchain, root: &Path, options: &Options) -> Result<Self> {
        let mut flags = KERNEL_FLAGS.to_owned();
        if options.randomize_layout {
            flags.push_str(" -Zrandomize-layout");
        }
        let kernel = Part {
            target: KERNEL_TARGET,
            package: "darner-kernel",
            profile: options.profile,
            flags: &flags,
        };
        let mut cargo = kernel.cargo(toolchain, root, options);
        cargo.arg("-Zbuild-std=core,alloc");
        if options.no_default_features {
            cargo.arg("--no-default-features");
        }
        if !options.features.is_empty() {
            cargo.arg("--features").arg(options.features.join(","));
        }
        command::run(&mut cargo)?;

        // Without optimisation it would take a hundred times as long, and be of no use.
        let cipher = Part {
            target: PROGRAM_TARGET,
            package: "darner-cipher",
            profile: Profile::Release,
            flags: CIPHER_FLAGS,
        };
        let mut cargo = cipher.cargo(toolchain, root, options);
        cargo.args(["-Zbuild-std=core", "--features", "export"]);
        command::run(&mut cargo)?;

        let builtins = Part {
            target: PROGRAM_TARGET,
            package: "darner-builtins",
            profile: Profile::Release,
            flags: BUILTINS_FLAGS,
        };
        let mut cargo = builtins.cargo(toolchain, root, options);
        cargo.args([
            "-Zbuild-std=core",
            "-Zbuild-std-features=compiler-builtins-mem",
        ]);
        command::run(&mut cargo)?;

        Ok(Self {
            kernel: kernel.library(options)?,
            cipher: cipher.library(options)?,
            builtins: builtins.library(options)?,
        })
    }
}

/// One static library and how it is compiled.
struct Part<'a> {
    target: &'static str,
    package: &'static str,
    profile: Profile,
    flags: &'a str,
}

impl Part<'_> {
    fn cargo(&self, toolchain: &Toolchain, root: &Path, options: &Options) -> Command {
        let mut cargo = toolchain.cargo_static_library(root);
        cargo
            .env("RUSTFLAGS", self.flags)
            .args(["--package", self.package, "--target", self.target])
            .args(["--profile", self.profile.name(), "--target-dir"])
            .arg(&options.target_dir);
        cargo
    }

    /// Where cargo has put it.
    fn library(&self, options: &Options) -> Result<PathBuf> {
        let name = format!("lib{}.a", self.package.replace('-', "_"));
        let folder = options.target_dir.join(self.target);
        let path = folder.join(self.profile.folder()).join(name);
        if !path.is_file() {
            return Err(Error::failed(format!(
                "cargo built {} but made no {}: is its crate-type `staticlib`?",
                self.package,
                path.display()
            )));
        }
        Ok(path)
    }
}

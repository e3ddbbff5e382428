//! Programs for the guest: finding one by name or path, and building it.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::guest_cargo;
use crate::kernel::Profile;
use crate::toolchain::Toolchain;
use crate::workspace;

/// A program for the guest.
#[derive(Clone, Debug)]
pub struct App {
    /// What the program is called.
    pub name: String,
    source: Source,
}

/// What it is made of.
#[derive(Clone, Debug)]
enum Source {
    /// A crate that can be built for the guest.
    Crate {
        manifest: PathBuf,
        /// Whether it is one of the repository's own.
        ours: bool,
    },
    /// Nothing that is known here: it is an ELF file.
    Built(PathBuf),
}

/// The programs that the repository brings, by name.
pub fn list(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("apps");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .context(|| format!("list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        // What programs share is a library.
        .filter(|path| path.join("src/main.rs").is_file())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

impl App {
    /// The program that `name` means: a folder of `apps/`, the path of a crate, or that of an ELF file.
    pub fn find(root: &Path, name: &str) -> Result<Self> {
        let own = root.join("apps").join(name).join("Cargo.toml");
        let is_plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        if is_plain && own.is_file() {
            return Ok(Self {
                name: name.to_owned(),
                source: Source::Crate {
                    manifest: own,
                    ours: true,
                },
            });
        }
        let path = workspace::absolute(Path::new(name));
        if is_elf(&path) {
            let name = path.file_name().unwrap_or_default();
            return Ok(Self {
                name: name.to_string_lossy().into_owned(),
                source: Source::Built(path),
            });
        }
        let manifest = match path.file_name() {
            Some(file) if file == "Cargo.toml" => path,
            _ => path.join("Cargo.toml"),
        };
        if !name.is_empty() && manifest.is_file() {
            let manifest = manifest.canonicalize().unwrap_or(manifest);
            let ours = manifest.starts_with(root.join("apps"));
            return Ok(Self {
                name: package_name(&manifest)?,
                source: Source::Crate { manifest, ours },
            });
        }
        Err(Error::usage(format!(
            "found no program `{name}`: neither a folder of apps/ nor the path of a crate or of an ELF file.\n\
             programs that there are: {}",
            list(root)?.join(", ")
        )))
    }

    /// Builds it with the kernel; gives the place of the ELF file.
    pub fn build(&self, toolchain: &Toolchain, root: &Path, profile: Profile) -> Result<PathBuf> {
        match &self.source {
            Source::Crate { manifest, ours } => {
                self.finish(cargo(toolchain, root, profile, manifest, *ours)?)
            }
            Source::Built(elf) => Ok(elf.clone()),
        }
    }

    /// Where its `Cargo.toml` is.
    fn manifest(&self) -> Result<&Path> {
        match &self.source {
            Source::Crate { manifest, .. } => Ok(manifest),
            Source::Built(elf) => Err(Error::usage(format!(
                "found {}, which is built already, expected a crate",
                elf.display()
            ))),
        }
    }

    /// Builds it, optimised, for the machine that xtask runs on.
    pub fn build_for_host(&self, toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
        let mut cargo = toolchain.cargo(root);
        cargo
            .args(["build", "--release", "--manifest-path"])
            .arg(self.manifest()?)
            .arg("--target-dir")
            .arg(workspace::target_dir(root));
        self.finish(cargo)
    }

    /// Builds it, optimised, for a Linux that has nothing but this program.
    pub fn build_static(&self, toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
        const TARGET: &str = "x86_64-unknown-linux-gnu";
        let flags = format!(r#"target.{TARGET}.rustflags=["-Ctarget-feature=+crt-static"]"#);
        let mut cargo = toolchain.cargo(root);
        cargo
            .args(["build", "--release", "--target", TARGET])
            .args(["--config", &flags, "--manifest-path"])
            .arg(self.manifest()?)
            .arg("--target-dir")
            .arg(workspace::target_dir(root).join("linux"));
        self.finish(cargo)
    }

    /// Runs cargo and finds the program among what it made.
    fn finish(&self, cargo: std::process::Command) -> Result<PathBuf> {
        let what = format!("the program `{}`", self.name);
        let made = guest_cargo::executables(cargo, &[], &what)?;
        let programs: Vec<PathBuf> = made.into_iter().map(|program| program.path).collect();
        self.choose(&programs)
    }

    /// Of the programs that the crate has, the one that is named like it, or
    /// the only one.
    fn choose(&self, programs: &[PathBuf]) -> Result<PathBuf> {
        let named = programs.iter().find(|path| {
            path.file_name()
                .is_some_and(|name| name == self.name.as_str())
        });
        match (named, programs) {
            (Some(program), _) | (None, [program]) => Ok(program.clone()),
            (None, []) => Err(Error::usage(format!(
                "the crate `{}` has no program: found no [[bin]] or src/main.rs",
                self.name
            ))),
            (None, several) => Err(Error::usage(format!(
                "the crate `{}` has {} programs and none of its own name",
                self.name,
                several.len()
            ))),
        }
    }
}

/// What builds the crate for the guest.
fn cargo(
    toolchain: &Toolchain,
    root: &Path,
    profile: Profile,
    manifest: &Path,
    ours: bool,
) -> Result<std::process::Command> {
    let here = manifest.parent().unwrap_or(root);
    // Cargo's configuration is found from the folder that it runs in.
    let folder = if ours { root } else { here };
    let mut cargo =
        guest_cargo::command(toolchain, root, folder, "build", "std,panic_abort", profile)?;
    cargo.arg("--manifest-path").arg(manifest);
    if ours {
        cargo.arg("--target-dir").arg(workspace::target_dir(root));
    }
    Ok(cargo)
}

/// Whether there is a file that begins as ELF files do.
fn is_elf(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x7fELF"
}

/// The `name` in a manifest's `[package]`.
fn package_name(manifest: &Path) -> Result<String> {
    let text =
        std::fs::read_to_string(manifest).context(|| format!("read {}", manifest.display()))?;
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != "[package]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .ok_or_else(|| Error::usage(format!("found no package name in {}", manifest.display())))
}

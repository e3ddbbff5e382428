//! `xtask build`: makes `libhermit.a`.
//!
//! This is the build hook that the `hermit` crates (Hermit's and ours) call, so
//! its command line and the place of its result are given.

mod abi_list;
mod archive;
mod check;
mod compile;
mod link;
mod symbols;

use std::path::PathBuf;

use crate::error::{Context, Error, Result};
use crate::toolchain::Toolchain;
use crate::workspace;

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// cargo's `dev`.
    Debug,
    /// cargo's `release`.
    Release,
}

impl Profile {
    /// The profile's name for cargo's `--profile`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "dev",
            Self::Release => "release",
        }
    }

    /// The name of the folder that cargo puts the result in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// What `xtask build` is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// How to compile.
    pub profile: Profile,
    /// Where to build; the result is `x86_64/{debug|release}/libhermit.a` in it.
    pub target_dir: PathBuf,
    /// Whether the kernel's default features are left out.
    pub no_default_features: bool,
    /// The features that the kernel is built with.
    pub features: Vec<String>,
    /// Lets the compiler shuffle the fields of structures, to find code that
    /// relies on their order.
    pub randomize_layout: bool,
}

impl Options {
    /// Reads the command line after `build`.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        use lexopt::prelude::*;
        let (mut arch, mut profile, mut target_dir) = (None, Profile::Release, None);
        let (mut no_default_features, mut randomize_layout) = (false, false);
        let mut features = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("arch") => arch = Some(parser.value()?.string()?),
                Long("profile") => {
                    profile = match parser.value()?.string()?.as_str() {
                        "dev" | "debug" => Profile::Debug,
                        "release" => Profile::Release,
                        other => {
                            return Err(Error::usage(format!(
                                "found --profile {other}, expected dev or release"
                            )));
                        }
                    }
                }
                Long("release") => profile = Profile::Release,
                Long("target-dir") => target_dir = Some(PathBuf::from(parser.value()?)),
                Long("no-default-features") => no_default_features = true,
                Long("features") | Short('F') => features.extend(
                    parser
                        .value()?
                        .string()?
                        .split([' ', ','])
                        .filter(|feature| !feature.is_empty())
                        .map(str::to_owned),
                ),
                Long("randomize-layout") => randomize_layout = true,
                Long("instrument-mcount") => {
                    return Err(Error::usage(
                        "--instrument-mcount (the feature `instrument`) is not supported: the \
                         kernel has no tracer that its calls to mcount could reach",
                    ));
                }
                other => return Err(other.unexpected().into()),
            }
        }
        match arch.as_deref() {
            Some("x86_64") | None => {}
            Some(other) => {
                return Err(Error::usage(format!(
                    "found --arch {other}, expected x86_64: the kernel knows no other machine yet"
                )));
            }
        }
        let target_dir = match target_dir {
            Some(dir) => workspace::absolute(&dir),
            None => workspace::root()?.join("target"),
        };
        Ok(Self {
            profile,
            target_dir,
            no_default_features,
            features,
            randomize_layout,
        })
    }
}

/// Builds the library, checks it, and gives its place.
pub fn build(options: &Options) -> Result<PathBuf> {
    let root = workspace::root()?;
    let toolchain = Toolchain::ready(&root)?;
    let parts = compile::Parts::build(&toolchain, &root, options)?;

    let out = options
        .target_dir
        .join("x86_64")
        .join(options.profile.folder());
    let work = out.join("objects");
    std::fs::create_dir_all(&work).context(|| format!("make the folder {}", work.display()))?;
    let kernel = link::kernel(
        &toolchain,
        &parts.kernel,
        &parts.cipher,
        &root.join("unikernel/kernel.ld"),
        &work,
    )?;
    let builtins = link::builtins(&toolchain, &parts.builtins, &work)?;

    let expected = abi_list::expected(&toolchain, &root)?;
    let archive = archive::make(&[("kernel.o", kernel), ("builtins.o", builtins)])?;
    check::archive(&archive, &expected)?;
    let library = out.join("libhermit.a");
    write_if_changed(&library, &archive)?;
    Ok(library)
}

/// Leaves a file of the same content alone: its time tells cargo's other jobs
/// whether there is anything new to link.
fn write_if_changed(path: &std::path::Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    std::fs::write(path, content).context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Options, Profile};

    fn parse(line: &str) -> crate::error::Result<Options> {
        Options::parse(lexopt::Parser::from_args(line.split(' ')))
    }

    #[test]
    fn the_hook_is_understood() {
        let options = Options::parse(lexopt::Parser::from_args([
            "--arch",
            "x86_64",
            "--profile",
            "dev",
            "--target-dir",
            "/t",
            "--no-default-features",
            "--features",
            "acpi pci smp",
        ]))
        .unwrap();
        assert_eq!(options.profile, Profile::Debug);
        assert_eq!(options.target_dir, std::path::Path::new("/t"));
        assert!(options.no_default_features);
        assert_eq!(options.features, ["acpi", "pci", "smp"]);
    }

    #[test]
    fn what_it_cannot_do_is_named() {
        let error = parse("--arch riscv64").unwrap_err();
        assert!(error.to_string().contains("riscv64"));
        assert_eq!(error.status(), 2);
        assert!(
            parse("--profile fast")
                .unwrap_err()
                .to_string()
                .contains("fast")
        );
        assert!(
            parse("--instrument-mcount")
                .unwrap_err()
                .to_string()
                .contains("mcount")
        );
        assert!(parse("--nonsense").is_err());
    }
}

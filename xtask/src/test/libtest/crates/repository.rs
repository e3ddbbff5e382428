//! Tests that a crate's package comes without: they are in the repository that the
//! package was made of.
//!
//! git fetches the very commit, once, into the cache folder. The id of a commit is a hash
//! of all that is in it, so what git has checked out under that id is what was asked for.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::command::{self, Guarded};
use crate::error::{Context, Error, Result};
use crate::workspace;

/// How long git may take for one commit.
const PATIENCE: Duration = Duration::from_secs(120);

/// A repository at one commit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Where git fetches it.
    url: String,
    /// The commit's whole id.
    commit: String,
    /// The programs: files of the folder `tests`, without `.rs`.
    pub tests: Vec<String>,
    /// By file of that folder: a file of ours, beside the manifest that pins the crates,
    /// that is put at its end.
    #[serde(default)]
    append: BTreeMap<PathBuf, PathBuf>,
}

impl Repository {
    /// Refuses what cannot have been meant.
    pub fn check(&self) -> std::result::Result<(), String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_inside = |path: &Path| {
            let mut parts = path.components();
            path.file_name().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if !self.url.starts_with("https://") {
            return Err("expected a repository whose address begins with https://".into());
        }
        if self.commit.len() != 40 || !self.commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err("expected a commit as 40 hexadecimal digits".into());
        }
        if self.tests.is_empty() || !self.tests.iter().all(|name| name.chars().all(is_plain)) {
            return Err("expected names of files in the folder tests, without .rs".into());
        }
        let mut paths = self.append.iter().flat_map(|(to, from)| [to, from]);
        match paths.all(|path| is_inside(path)) {
            true => Ok(()),
            false => Err("expected paths below the folder tests and below ci/crate-tests".into()),
        }
    }

    /// Has it in the cache folder; the error says what to do where it cannot be fetched.
    pub fn fetched(&self) -> std::result::Result<(), String> {
        let folder = self.folder().map_err(|error| error.to_string())?;
        if folder.is_dir() {
            return Ok(());
        }
        self.fetch(&folder).map_err(|error| {
            format!(
                "{error}\nrun this where that works, and bring the folder here:\n    \
                 git init {folder}\n    \
                 git -C {folder} fetch --depth 1 {url} {commit}\n    \
                 git -C {folder} checkout {commit}",
                url = self.url,
                commit = self.commit,
                folder = folder.display(),
            )
        })
    }

    /// An error unless the package in `sources` says that it was made of this commit.
    pub fn check_origin(&self, sources: &Path) -> Result<()> {
        let path = sources.join(".cargo_vcs_info.json");
        let origin: serde_json::Value = serde_json::from_str(&read(&path)?)
            .context(|| format!("make sense of {}", path.display()))?;
        match origin["git"]["sha1"].as_str() {
            Some(commit) if commit == self.commit => Ok(()),
            found => Err(Error::usage(format!(
                "the package in {} was made of commit {}, and ci/crate-tests.toml has its tests of {}",
                sources.display(),
                found.unwrap_or("(unknown)"),
                self.commit
            ))),
        }
    }

    /// Puts a copy of the tests into `folder`, and at the ends of its files those of the
    /// folder `ours`.
    pub fn copy_tests(&self, ours: &Path, folder: &Path) -> Result<()> {
        self.copy_from(&self.folder()?, ours, folder)
    }

    fn copy_from(&self, checkout: &Path, ours: &Path, folder: &Path) -> Result<()> {
        verify(checkout, &self.commit)?;
        let tests = folder.join("tests");
        // What an earlier commit has left, if anything.
        let _ = std::fs::remove_dir_all(&tests);
        copy(&checkout.join("tests"), &tests)?;
        for (to, from) in &self.append {
            let (to, from) = (tests.join(to), ours.join(from));
            let text = [read(&to)?, read(&from)?].join("\n");
            std::fs::write(&to, text).context(|| format!("write {}", to.display()))?;
        }
        Ok(())
    }

    /// Where it is kept.
    fn folder(&self) -> Result<PathBuf> {
        Ok(workspace::cache_dir()?.join("crates").join(&self.commit))
    }

    fn fetch(&self, folder: &Path) -> Result<()> {
        if !command::exists("git") {
            return Err(Error::usage("found no git"));
        }
        let cache = folder.parent().unwrap_or(folder);
        std::fs::create_dir_all(cache)
            .context(|| format!("make the folder {}", cache.display()))?;
        // Whole or not at all: what breaks off leaves nothing under the final name.
        let part = tempfile::tempdir_in(cache)
            .context(|| format!("make a folder in {}", cache.display()))?;
        eprintln!("xtask: fetching {} at {}", self.url, self.commit);
        git(part.path(), &["init", "--quiet", "--template="])?;
        git(
            part.path(),
            &["fetch", "--quiet", "--depth=1", &self.url, &self.commit],
        )?;
        git(part.path(), &["checkout", "--quiet", &self.commit])?;
        verify(part.path(), &self.commit)?;
        let part = part.keep();
        std::fs::rename(&part, folder)
            .context(|| format!("move {} to {}", part.display(), folder.display()))
    }
}

/// An error unless the folder holds that commit as it is.
fn verify(folder: &Path, commit: &str) -> Result<()> {
    let head = git(folder, &["rev-parse", "HEAD"])?;
    let changed = git(folder, &["status", "--porcelain"])?;
    match head.trim() == commit && changed.is_empty() {
        true => Ok(()),
        false => Err(Error::failed(format!(
            "expected commit {commit} in {folder}, found {head}, changed: {changed:?}; remove the folder",
            folder = folder.display(),
            head = head.trim(),
        ))),
    }
}

/// Runs git in that folder; gives what it prints.
fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(folder)
        .args(["-c", "core.autocrlf=false"])
        .args(args)
        // Nobody is there to be asked for a password.
        .env("GIT_TERMINAL_PROMPT", "0")
        // A repository of the caller's is not meant.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Guarded::spawn(&mut git)?;
    let status = child.wait_within(&git, PATIENCE)?;
    let said = |stream: Option<&mut dyn std::io::Read>| {
        let mut text = String::new();
        match stream {
            Some(stream) => stream.read_to_string(&mut text).map(|_| text),
            None => Ok(text),
        }
        .context(|| "read what git prints".into())
    };
    let output = said(child.0.stdout.as_mut().map(|stream| stream as _))?;
    if status.success() {
        return Ok(output);
    }
    let errors = said(child.0.stderr.as_mut().map(|stream| stream as _))?;
    Err(Error::failed(format!(
        "`{}` failed ({status}): {}",
        command::shown(&git),
        errors.trim()
    )))
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("copy {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to).context(failed)?;
    for entry in std::fs::read_dir(from).context(failed)? {
        let entry = entry.context(failed)?;
        let place = to.join(entry.file_name());
        match entry.file_type().context(failed)?.is_dir() {
            true => copy(&entry.path(), &place)?,
            false => {
                std::fs::copy(entry.path(), &place).context(failed)?;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Repository, git};

    /// A repository with one commit, and how it is asked for.
    fn published(folder: &Path) -> Repository {
        fs::create_dir_all(folder.join("tests/util")).unwrap();
        fs::write(folder.join("tests/tie.rs"), "mod util;\n").unwrap();
        fs::write(folder.join("tests/util/mod.rs"), "fn theirs() {}\n").unwrap();
        git(folder, &["init", "--quiet", "--template="]).unwrap();
        git(folder, &["add", "."]).unwrap();
        git(
            folder,
            &[
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example",
                "-c",
                "commit.gpgsign=false",
                "commit",
                "--quiet",
                "--message=a",
            ],
        )
        .unwrap();
        Repository {
            url: folder.display().to_string(),
            commit: git(folder, &["rev-parse", "HEAD"]).unwrap().trim().into(),
            tests: vec!["tie".into()],
            append: [("util/mod.rs".into(), "ours.rs".into())].into(),
        }
    }

    #[test]
    fn tests_are_those_of_the_commit_and_what_is_appended() {
        let scratch = tempfile::tempdir().unwrap();
        let repository = published(&scratch.path().join("published"));
        let (kept, folder) = (scratch.path().join("kept"), scratch.path().join("folder"));
        repository.fetch(&kept).unwrap();
        fs::write(scratch.path().join("ours.rs"), "fn ours() {}\n").unwrap();
        for _ in 0..2 {
            repository
                .copy_from(&kept, scratch.path(), &folder)
                .unwrap();
            assert_eq!(
                fs::read_to_string(folder.join("tests/util/mod.rs")).unwrap(),
                "fn theirs() {}\n\nfn ours() {}\n"
            );
        }
        // What is kept is as it was, and is no longer used when it is not.
        fs::write(kept.join("tests/tie.rs"), "").unwrap();
        let changed = repository.copy_from(&kept, scratch.path(), &folder);
        assert!(changed.unwrap_err().to_string().contains("tests/tie.rs"));
    }

    #[test]
    fn what_is_not_there_leaves_nothing_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let published = published(&scratch.path().join("published"));
        let cache = scratch.path().join("cache");
        for repository in [
            Repository {
                url: scratch.path().join("none").display().to_string(),
                ..published.clone()
            },
            Repository {
                commit: "0".repeat(40),
                ..published
            },
        ] {
            let error = repository.fetch(&cache.join("kept")).unwrap_err();
            assert!(error.to_string().contains("fetch"), "{error}");
            assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
        }
    }

    #[test]
    fn the_tests_are_those_of_the_packages_commit() {
        let scratch = tempfile::tempdir().unwrap();
        let repository = published(&scratch.path().join("published"));
        assert!(repository.check_origin(scratch.path()).is_err());
        for (commit, is_it) in [(&*repository.commit, true), ("0123", false)] {
            let info = format!(r#"{{"git": {{"sha1": "{commit}"}}, "path_in_vcs": ""}}"#);
            fs::write(scratch.path().join(".cargo_vcs_info.json"), info).unwrap();
            assert_eq!(repository.check_origin(scratch.path()).is_ok(), is_it);
        }
    }
}

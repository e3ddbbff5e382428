//! A job, as its file describes it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use darner_switch::Plan;
use serde::Deserialize;
use toml::Spanned;

use super::expect::{Elsewhere, Expect};
use super::topology::Topology;
use crate::app::App;
use crate::cluster::{self, kill::Deed};
use crate::error::{Context, Error, Result};
use crate::vm::Machine;
use crate::vm::network::Cipher;

/// See the module.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What it is called: its file's name.
    #[serde(skip)]
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// A program of `apps/`, for runs that name none.
    program: Option<Spanned<String>>,
    /// The systems that it runs on, one after the other.
    topologies: Vec<Spanned<Topology>>,
    /// Memory of each machine in MiB; xtask's own choice, if not given.
    pub memory: Option<u64>,
    /// The machine type; xtask's own choice, if not given.
    pub machine: Option<Spanned<String>>,
    /// How many seconds a node that says nothing is waited for; xtask's own choice, if not given.
    pub silence: Option<u16>,
    /// What encrypts between the nodes; the faster one, if not given.
    pub cipher: Option<Cipher>,
    /// How many seconds a run may take, from the start of its machines.
    #[serde(default = "usual_limit")]
    within: Spanned<u64>,
    /// With how many seeds each run is played.
    #[serde(default = "once")]
    seeds: Spanned<u64>,
    /// Whether it takes too long for every change.
    #[serde(default)]
    pub deep: bool,
    /// Whether nothing else may run meanwhile.
    #[serde(default = "usually")]
    pub alone: bool,
    /// What is run, one after the other.
    #[serde(rename = "run")]
    pub runs: Vec<Run>,
}

/// One run of the program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// A program of `apps/`, if it is not the job's.
    program: Option<Spanned<String>>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files of the repository, and where the program finds them.
    #[serde(default)]
    pub files: BTreeMap<Spanned<String>, String>,
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// What is wrong with the network, as for `--faults`.
    pub faults: Option<Spanned<String>>,
    /// How many seconds after the others the last machine is started.
    pub join_after: Option<u16>,
    /// Which machines are killed when, as for `--kill`.
    #[serde(default)]
    pub kill: Vec<Spanned<String>>,
    /// Which machines are drained when, as for `--drain`.
    #[serde(default)]
    pub drain: Vec<Spanned<String>>,
    /// A text; with the first line that contains it the times of faults begin.
    pub after: Option<Spanned<String>>,
    /// What must come of it.
    expect: Spanned<Expect>,
    /// Or else one of these.
    #[serde(default)]
    or: Vec<Spanned<Expect>>,
}

fn usual_limit() -> Spanned<u64> {
    Spanned::new(0..0, 150)
}

fn once() -> Spanned<u64> {
    Spanned::new(0..0, 1)
}

fn usually() -> bool {
    true
}

impl Job {
    /// The systems that it runs on.
    pub fn topologies(&self) -> impl Iterator<Item = &Topology> {
        self.topologies.iter().map(Spanned::get_ref)
    }

    /// The program of one of its runs.
    pub fn program_of<'a>(&'a self, run: &'a Run) -> &'a str {
        let named = run.program.as_ref().or(self.program.as_ref());
        named.map_or("", |program| program.get_ref())
    }

    /// How long a run may take.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(*self.within.get_ref())
    }

    /// With how many seeds each run is played.
    pub fn seeds(&self) -> u64 {
        *self.seeds.get_ref()
    }
}

impl Run {
    /// All ways in which it may end.
    pub fn expectations(&self) -> impl Iterator<Item = &Expect> {
        let all = [&self.expect].into_iter().chain(&self.or);
        all.map(Spanned::get_ref)
    }

    /// Whether its output is compared with Linux's.
    pub fn needs_linux(&self) -> bool {
        let mut expectations = self.expectations();
        expectations.any(|expect| expect.stdout.same_as == Some(Elsewhere::Linux))
    }
}

/// Reads the job in the file at `path`, in the repository at `root`.
///
/// # Errors
/// The file and the line, what was found, and what was expected.
pub fn read(root: &Path, path: &Path) -> Result<Job> {
    let text = std::fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let shown = path.strip_prefix(root).unwrap_or(path);
    parse(root, &name, &text).map_err(|Wrong { at, what }| {
        let before = &text.as_bytes()[..at.start.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Error::usage(format!("{}:{line}: {what}", shown.display()))
    })
}

/// What is wrong, and where in the text.
#[derive(Debug)]
struct Wrong {
    at: Range<usize>,
    what: String,
}

fn wrong<T, V>(at: &Spanned<V>, what: impl ToString) -> std::result::Result<T, Wrong> {
    Err(Wrong {
        at: at.span(),
        what: what.to_string(),
    })
}

fn parse(root: &Path, name: &str, text: &str) -> std::result::Result<Job, Wrong> {
    let mut job: Job = toml::from_str(text).map_err(|error| Wrong {
        at: error.span().unwrap_or(0..0),
        what: error.message().to_owned(),
    })?;
    job.name = name.to_owned();
    if let Some(machine) = &job.machine
        && let Err(error) = Machine::parse(machine.get_ref())
    {
        return wrong(machine, error);
    }
    for (found, number) in [("within", &job.within), ("seeds", &job.seeds)] {
        if *number.get_ref() == 0 {
            return wrong(number, format!("found {found} = 0, expected at least 1"));
        }
    }
    let whole = 0..0;
    if job.topologies.is_empty() || job.runs.is_empty() {
        let what = "found no topology or no [[run]], expected at least one of each".into();
        return Err(Wrong { at: whole, what });
    }
    for (index, topology) in job.topologies.iter().enumerate() {
        let mut before = job.topologies[..index].iter().map(Spanned::get_ref);
        if before.any(|other| other == topology.get_ref()) {
            return wrong(topology, format!("found {} twice", topology.get_ref()));
        }
    }
    for run in &job.runs {
        check(root, &job, run)?;
    }
    Ok(job)
}

fn check(root: &Path, job: &Job, run: &Run) -> std::result::Result<(), Wrong> {
    match run.program.as_ref().or(job.program.as_ref()) {
        None => {
            return wrong(
                &run.expect,
                "found no `program`, neither here nor for the whole job",
            );
        }
        Some(program) => {
            if let Err(error) = App::find(root, program.get_ref()) {
                return wrong(program, error);
            }
        }
    }
    for file in run.files.keys() {
        if !root.join(file.get_ref()).is_file() {
            let found = file.get_ref();
            return wrong(file, format!("found no file `{found}` in the repository"));
        }
    }
    for topology in job.topologies() {
        if let Some(faults) = &run.faults
            && let Err(error) = Plan::parse(faults.get_ref(), topology.nodes.into())
        {
            return wrong(faults, format!("on {topology}: {error}"));
        }
        for (orders, deed) in [(&run.kill, Deed::Kill), (&run.drain, Deed::Drain)] {
            let texts: Vec<String> = orders.iter().map(|text| text.get_ref().clone()).collect();
            if let Err(error) = cluster::options::kills(&texts, deed, topology.nodes, 1) {
                return wrong(&orders[0], format!("on {topology}: {error}"));
            }
        }
    }
    if let Some(after) = &run.after
        && run.faults.is_none()
        && run.kill.is_empty()
        && run.drain.is_empty()
    {
        return wrong(
            after,
            "found `after`, but none of `faults`, `kill` and `drain` that could begin then",
        );
    }
    for expect in [&run.expect].into_iter().chain(&run.or) {
        if run.kill.is_empty() && expect.get_ref().needs_killed() {
            return wrong(expect, "found `{killed}`, but no `kill` in this run");
        }
        let stdout = &expect.get_ref().stdout;
        if stdout.equals.is_some() && stdout.same_as.is_some() {
            return wrong(
                expect,
                "found both `equals` and `same_as`, expected one of them",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::read;

    const START: &str = "about = 'a'\nprogram = 'hello'\ntopologies = ['2x1']\n";

    fn error(text: &str) -> String {
        let root = crate::workspace::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        std::fs::write(&path, text).unwrap();
        match read(&root, Path::new(&path)) {
            Ok(job) => panic!("{text}\nis taken for {job:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (rest, line, said) in [
            ("[[run]]\nargs = ['x']\n", 4, "missing field `expect`"),
            ("[[run]]\nexpect.status = 256\n", 5, "256"),
            (
                "[[run]]\nexpect.state = 0\n",
                5,
                "unknown field `state`, expected one of `status`",
            ),
            (
                "lone = true\n[[run]]\nexpect.status = 0\n",
                4,
                "unknown field `lone`",
            ),
            (
                "[[run]]\nexpect.stdout.has = ['(']\n",
                5,
                "a regular expression",
            ),
            (
                "[[run]]\nexpect.stdout.same_as = 'plan9'\n",
                5,
                "expected `linux`",
            ),
            (
                "[[run]]\nfaults = 'los=1%'\nexpect.status = 0\n",
                5,
                "found `los`",
            ),
            (
                "[[run]]\nkill = ['2@1s']\nexpect.status = 0\n",
                5,
                "a node, 0 to 1",
            ),
            (
                "[[run]]\nafter = 'x'\nexpect.status = 0\n",
                5,
                "none of `faults`, `kill` and `drain`",
            ),
            (
                "[[run]]\nexpect.stderr.has = ['{killed}']\n",
                5,
                "no `kill`",
            ),
            (
                "[[run]]\nfiles = { 'no/such' = '/x' }\nexpect.status = 0\n",
                5,
                "no file `no/such`",
            ),
            (
                "machine = 'vax'\n[[run]]\nexpect.status = 0\n",
                4,
                "q35 or microvm",
            ),
            ("seeds = 0\n[[run]]\nexpect.status = 0\n", 4, "at least 1"),
            (
                "within = 'long'\n[[run]]\nexpect.status = 0\n",
                4,
                "expected u64",
            ),
            ("run = []\n", 1, "at least one of each"),
            ("= 1\n", 4, "key"),
        ] {
            let found = error(&format!("{START}{rest}"));
            assert!(
                found.contains(&format!("job.toml:{line}: ")) && found.contains(said),
                "{rest}\n{found}"
            );
        }
        let found = error("about = 'a'\ntopologies = ['2x1']\n[[run]]\nexpect.status = 0\n");
        assert!(found.contains("job.toml:4: found no `program`"), "{found}");
        let found = error(&START.replace("2x1", "two"));
        assert!(
            found.contains("job.toml:3: found `two`, expected NODESxCPUS"),
            "{found}"
        );
        let found = error(&format!(
            "{}[[run]]\nexpect.status = 0\n",
            START.replace("hello", "goodbye")
        ));
        assert!(
            found.contains("job.toml:2: found no program `goodbye`"),
            "{found}"
        );
    }
}

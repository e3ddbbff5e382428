//! What can be said here of the workflow that GitHub runs: that it is well-formed, that its scripts are,
//! and that it uses this repository's commands and toolchain as they are.
//!
//! Not one of cargo's `tests`: those need the program, so cargo would put another one in the place of the one that
//! runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr::{LoadableYamlNode, Yaml};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What stands for each of the job's commands.
const COMMAND: &str = "${{ matrix.command }}";

/// The scripts of all steps, once for each of the job's commands.
fn scripts() -> Vec<String> {
    let text = read(".github/workflows/ci.yml");
    let documents = Yaml::load_from_str(&text).unwrap();
    let [workflow] = &documents[..] else {
        panic!("found {} documents, expected one", documents.len());
    };
    let job = &workflow["jobs"]["xtask"];
    assert_eq!(job["runs-on"].as_str(), Some("ubuntu-latest"));
    assert!(job["timeout-minutes"].as_integer().is_some());
    let steps = job["steps"].as_sequence().unwrap();
    let (first, steps) = steps.split_first().unwrap();
    let action = first["uses"].as_str().unwrap();
    assert!(action.starts_with("actions/checkout@"), "{action}");
    let commands = &job["strategy"]["matrix"]["command"];
    let commands = commands.as_sequence().unwrap().iter();
    commands
        .flat_map(|command| {
            let command = command.as_str().unwrap();
            steps.iter().map(move |step| {
                let script = step["run"].as_str().unwrap();
                script.replace(COMMAND, command)
            })
        })
        .collect()
}

/// The words of every `cargo xtask`, from the command on.
fn commands() -> Vec<Vec<String>> {
    let scripts = scripts();
    let lines = scripts.iter().flat_map(|script| script.lines());
    lines
        .filter_map(|line| line.trim().strip_prefix("cargo xtask "))
        .map(|words| words.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_scripts_are_the_shells_language() {
    for script in scripts() {
        assert!(!script.contains("${{"), "{script}");
        let checked = Command::new("bash").args(["-n", "-c", &script]).output();
        let checked = checked.unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{script}\n{said}");
    }
}

#[test]
fn the_commands_are_there_and_have_these_options() {
    let help = crate::HELP;
    let commands = commands();
    for words in &commands {
        assert!(
            help.contains(&format!("cargo xtask {} ", words[0])),
            "{words:?}"
        );
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")), "{words:?}");
        }
    }
    for whole in ["ci", "test"] {
        assert!(
            commands.iter().any(|words| words[..] == [whole]),
            "{commands:?}"
        );
    }
}

#[test]
fn the_toolchain_is_the_repositorys() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let toolchain = &toolchain["toolchain"];
    let channel = toolchain["channel"].as_str().unwrap();
    let components = toolchain["components"].as_array().unwrap();
    let scripts = scripts();
    let script = scripts
        .iter()
        .find(|script| script.contains("rustup"))
        .unwrap();
    assert!(script.contains(&format!("install {channel} ")), "{script}");
    for component in components {
        let component = component.as_str().unwrap();
        assert!(
            script.contains(&format!("--component {component}")),
            "{script}"
        );
    }
}

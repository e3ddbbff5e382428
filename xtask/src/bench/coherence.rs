//! The coherence protocol: exactly what each operation costs, as its tests count it, and what whole programs cost over simulated
//! memory, beside a scope-consistency DSM on the same inputs (`darner-traces`).

use std::process::Command;

use super::figure::{Figure, Goal};
use super::guests::Guests;
use crate::command;
use crate::error::{Error, Result};
use crate::{sim, workspace};

/// The rows, and what is the least for each: messages, hops, copies of pages. Where there are sharers, there are three;
/// eight nodes meet at the barrier.
const ROWS: [(&str, &str, [f64; 3]); 19] = [
    ("01", "01", [2.0, 2.0, 1.0]),
    ("02", "02", [4.0, 3.0, 1.0]),
    ("03", "03", [2.0, 2.0, 1.0]),
    ("04", "04_k3", [8.0, 3.0, 1.0]),
    ("05", "05", [4.0, 3.0, 1.0]),
    ("06", "06_k3", [8.0, 3.0, 0.0]),
    ("07", "07_k3", [6.0, 2.0, 0.0]),
    ("08", "08", [2.0, 2.0, 1.0]),
    ("09", "09", [4.0, 3.0, 1.0]),
    ("10", "10", [0.0, 0.0, 0.0]),
    ("11", "11", [0.0, 0.0, 0.0]),
    ("12", "12", [2.0, 0.0, 1.0]),
    ("13", "13_n8", [14.0, 2.0, 0.0]),
    ("14", "14", [3.0, 3.0, 0.0]),
    ("14_from_home", "14_from_home", [2.0, 2.0, 0.0]),
    ("14_to_home", "14_to_home", [2.0, 2.0, 0.0]),
    ("15", "15", [2.0, 2.0, 0.0]),
    ("15_leased", "15_leased", [0.0, 0.0, 0.0]),
    ("16", "16", [0.0, 0.0, 0.0]),
];

/// What a row's figures are called.
const PARTS: [&str; 3] = ["messages", "hops", "copies"];

/// How many nodes the programs run on, the first for the figures that have goals.
const NODES: [u32; 3] = [8, 4, 2];

/// Programs whose messages shall be no more than the peer's.
const WITH_GOAL: [&str; 4] = ["sor", "is", "lu", "ep"];

/// The peer: homes where the program says, or moving to whom alone wrote, whichever took fewer messages.
const PEER: &str = "scope DSM";

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let mut figures = rows(&tested(guests)?)?;
    let program = built(guests)?;
    for nodes in NODES {
        eprintln!("xtask: programs on {nodes} nodes");
        let mut command = Command::new(&program);
        let said = command::output(command.args(["--nodes", &nodes.to_string()]))?;
        figures.extend(programs(&said, nodes)?);
    }
    Ok(figures)
}

/// What the tests of the rows say, built as `cargo xtask test` builds them.
fn tested(guests: &Guests<'_>) -> Result<String> {
    let set = guests.set();
    let mut cargo = set.toolchain.cargo(&set.root);
    cargo
        .args(["test", "--quiet", "--package", "darner-coherence"])
        .args([
            "--profile",
            sim::PROFILE,
            "--test",
            "protocols",
            "--target-dir",
        ])
        .arg(workspace::target_dir(&set.root))
        .args(["--", "row_", "--nocapture", "--test-threads", "1"]);
    command::output(&mut cargo)
}

/// The program that runs programs.
/// The program that runs others over simulated memory.
pub fn built(guests: &Guests<'_>) -> Result<std::path::PathBuf> {
    let set = guests.set();
    let target_dir = workspace::target_dir(&set.root);
    let mut cargo = set.toolchain.cargo(&set.root);
    cargo.args(["build", "--release", "--package", "darner-traces"]);
    command::run(cargo.arg("--target-dir").arg(&target_dir))?;
    Ok(target_dir.join("release/darner-traces"))
}

fn rows(said: &str) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (number, name, least) in ROWS {
        let counted = found(said, &format!("row {name}"))?;
        for (part, least) in PARTS.into_iter().zip(least) {
            let value = value(&counted, part)?;
            let figure = Figure::new(format!("coherence/row_{number}_{part}"), value, part);
            figures.push(figure.goal(Goal::AtMost(least)));
        }
    }
    let revokes = value(&found(said, "row 16_revokes")?, PARTS[0])?;
    let revokes = Figure::new("coherence/row_16_revokes", revokes, PARTS[0]);
    figures.push(revokes.goal(Goal::AtMost(0.0)));
    Ok(figures)
}

/// The figures of all programs that `said` tells of.
fn programs(said: &str, nodes: u32) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for line in said.lines() {
        let Some((program, input)) = line
            .strip_prefix("input ")
            .and_then(|input| input.split_once(' '))
        else {
            continue;
        };
        eprintln!("xtask: {program}: {input}");
        figures.extend(costs(said, program, nodes)?);
    }
    Ok(figures)
}

/// A program's messages and megabytes, ours beside theirs.
fn costs(said: &str, program: &str, nodes: u32) -> Result<Vec<Figure>> {
    let cost = |memory: &str| found(said, &format!("cost {program} {memory}"));
    let (ours, placed) = (cost("ours")?, cost("ours_placed")?);
    let (stay, moving) = (cost("theirs")?, cost("theirs_moving")?);
    let theirs = match value(&moving, "messages")? < value(&stay, "messages")? {
        true => moving,
        false => stay,
    };
    let name = |what: &str| match nodes {
        nodes if nodes == NODES[0] => format!("coherence/{program}_{what}"),
        nodes => format!("coherence/{program}_{what}_{nodes}_nodes"),
    };
    let messages = |counted: &[(String, f64)]| value(counted, "messages");
    let megabytes = |counted: &[(String, f64)]| {
        Ok::<f64, Error>((value(counted, "bytes")? / 1e3).round() / 1e3)
    };
    let ours_messages =
        Figure::new(name("messages"), messages(&ours)?, "messages").peer(PEER, messages(&theirs)?);
    let has_goal = WITH_GOAL.contains(&program) && nodes == NODES[0];
    let ours_messages = match has_goal {
        true => ours_messages.goal(Goal::Ratio(1.0)),
        false => ours_messages,
    };
    Ok(vec![
        ours_messages,
        Figure::new(name("megabytes"), megabytes(&ours)?, "MB").peer(PEER, megabytes(&theirs)?),
        Figure::new(name("messages_placed"), messages(&placed)?, "messages")
            .peer(PEER, messages(&theirs)?),
    ])
}

/// The names and numbers that follow these words on a line.
fn found(said: &str, words: &str) -> Result<Vec<(String, f64)>> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(words)?.strip_prefix(' '))
        .ok_or_else(|| Error::failed(format!("found no line `{words} …` in: {said}")))?;
    let words: Vec<&str> = line.split(' ').collect();
    let pairs = words.chunks_exact(2).map(|pair| {
        let number = pair[1]
            .parse()
            .map_err(|_| Error::failed(format!("found `{}`, expected a number", pair[1])))?;
        Ok((pair[0].to_owned(), number))
    });
    pairs.collect()
}

fn value(counted: &[(String, f64)], name: &str) -> Result<f64> {
    counted
        .iter()
        .find(|(known, _)| known == name)
        .map(|&(_, value)| value)
        .ok_or_else(|| Error::failed(format!("found no `{name}` in {counted:?}")))
}

#[cfg(test)]
mod tests {
    use super::{NODES, ROWS, programs, rows};

    #[test]
    fn rows_are_read_from_between_what_a_test_says() {
        let said: String = ROWS
            .iter()
            .map(|(_, name, _)| format!("\nrow {name} messages 2 hops 2 copies 1\n."))
            .chain(["\nrow 16_revokes messages 0\n".into()])
            .collect();
        let figures = rows(&said).unwrap();
        assert_eq!(figures.len(), 3 * ROWS.len() + 1);
        assert_eq!(figures[0].name, "coherence/row_01_messages");
        assert_eq!(figures[0].is_reached(), Some(true));
        let copies = figures
            .iter()
            .find(|figure| figure.name == "coherence/row_11_copies");
        assert_eq!(copies.unwrap().is_reached(), Some(false));
        assert!(rows("row 01 messages 2 hops 2 copies 1").is_err());
    }

    #[test]
    fn a_program_is_compared_with_the_better_of_its_peers() {
        let said = "input sor 4×4\n\
                    cost sor ours messages 10 bytes 1234567\n\
                    cost sor ours_placed messages 8 bytes 1\n\
                    cost sor theirs messages 30 bytes 2\n\
                    cost sor theirs_moving messages 20 bytes 2000000\n";
        let figures = programs(said, NODES[0]).unwrap();
        assert_eq!(figures[0].name, "coherence/sor_messages");
        assert_eq!(figures[0].ratio(), Some(2.0));
        assert_eq!(figures[0].is_reached(), Some(true));
        assert_eq!(figures[1].name, "coherence/sor_megabytes");
        assert_eq!(
            (figures[1].value, figures[1].peer.unwrap().value),
            (1.235, 2.0)
        );
        let figures = programs(said, 4).unwrap();
        assert_eq!(figures[0].name, "coherence/sor_messages_4_nodes");
        assert_eq!(figures[0].goal, None);
    }
}

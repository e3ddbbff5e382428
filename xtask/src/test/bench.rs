//! The benchmarks: what they print, and that what they count reaches its goals.

use serde_json::Value;

use super::case::{Case, Verdict};
use super::command_line::{expect, xtask};
use super::suite::Suite;
use crate::bench::{Guests, boot};

/// What a figure that is compared with a peer has besides.
const PEER_FIELDS: [&str; 3] = ["peer", "peer_value", "ratio"];

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::alone("bench/boot/goals", goals),
        Case::alone("bench/boot/json", json),
        Case::new("bench/groups", |suite| {
            let output = xtask(suite, &["bench"])?;
            match output.stdout.starts_with(b"boot ") {
                true => expect(&output, 0, ""),
                false => Err("bench without a group does not list the groups")?,
            }
        }),
        Case::new("bench/unknown-group", |suite| {
            expect(
                &xtask(suite, &["bench", "boto"])?,
                2,
                "expected one of: boot",
            )
        }),
    ]
}

/// Every goal of a counted figure is reached, and these figures have one.
fn goals(suite: &Suite) -> Verdict {
    let figures = boot::counted(&Guests::new(&suite.set)?)?;
    for name in ["elf_bytes", "instructions_ours", "getpid_instructions"] {
        let name = format!("boot/{name}");
        let reached = figures
            .iter()
            .find(|figure| figure.name == name)
            .and_then(|figure| figure.is_reached());
        if reached.is_none() {
            Err(format!("found no figure {name} with a goal"))?;
        }
    }
    match figures
        .iter()
        .find(|figure| figure.is_reached() == Some(false))
    {
        Some(missed) => Err(format!("a goal is missed: {missed:?}"))?,
        None => Ok(()),
    }
}

/// One object a line on standard output, and nothing else.
fn json(suite: &Suite) -> Verdict {
    let output = xtask(suite, &["bench", "boot", "--json"])?;
    expect(&output, 0, "")?;
    let stdout = String::from_utf8(output.stdout)?;
    let mut names = Vec::new();
    for line in stdout.lines() {
        let figure: Value = serde_json::from_str(line)
            .map_err(|error| format!("found the line `{line}`, expected JSON: {error}"))?;
        let (Some(name), Some(value), Some(_)) = (
            figure["figure"].as_str(),
            figure["value"].as_f64(),
            figure["unit"].as_str(),
        ) else {
            return Err(format!("figure, value or unit is missing in `{line}`"))?;
        };
        let fields = PEER_FIELDS.map(|field| figure.get(field).is_some());
        if fields.contains(&true) && fields.contains(&false) {
            Err(format!("only some of {PEER_FIELDS:?} are in `{line}`"))?;
        }
        if let (Some(peer), Some(ratio)) = (figure["peer_value"].as_f64(), figure["ratio"].as_f64())
            && (peer / value - ratio).abs() > 1e-9
        {
            Err(format!("the ratio is wrong in `{line}`"))?;
        }
        names.push(name.to_owned());
    }
    let expected = [
        "boot/elf_bytes",
        "boot/min_mem_mib",
        "boot/instructions_q35",
        "boot/instructions_microvm",
        "boot/instructions_ours",
        "boot/instructions_ours_microvm",
        "boot/getpid_instructions",
    ];
    match names == expected {
        true => Ok(()),
        false => Err(format!(
            "found the figures {names:?}, expected {expected:?}"
        ))?,
    }
}

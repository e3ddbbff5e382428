//! Runs programs over both memories, and prints what they cost: a line for each program and memory.

use darner_traces::{Compared, Measured, PROGRAMS, Recorded, Size, compare};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "darner-traces [--nodes N] [--small] [PROGRAM...] | --nodes N --replay FILE";

struct Options {
    nodes: usize,
    size: Size,
    programs: Vec<String>,
    /// What a real cluster did, to be done again instead.
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = parse().and_then(|options| match &options.replay {
        Some(file) => replay(options.nodes, file),
        None => print(&options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("darner-traces: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut options = Options {
        nodes: 8,
        size: Size::Full,
        programs: Vec::new(),
        replay: None,
    };
    let mut parser = lexopt::Parser::from_env();
    let tell = |error: lexopt::Error| format!("{error}\nusage: {USAGE}");
    while let Some(argument) = parser.next().map_err(tell)? {
        match argument {
            Long("nodes") => {
                let nodes = parser.value().and_then(|value| value.parse());
                options.nodes = nodes.map_err(tell)?;
            }
            Long("replay") => options.replay = Some(parser.value().map_err(tell)?.into()),
            Long("small") => options.size = Size::Small,
            Value(program) => options.programs.push(program.string().map_err(tell)?),
            other => return Err(tell(other.unexpected())),
        }
    }
    if !(1..=64).contains(&options.nodes) {
        return Err(format!("found {} nodes, expected 1 to 64", options.nodes));
    }
    if options.programs.is_empty() {
        options.programs = PROGRAMS.map(str::to_owned).into();
    }
    Ok(options)
}

/// Prints how many messages of each kind it takes to do again what is recorded.
fn replay(nodes: usize, file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let recorded = Recorded::parse(nodes as u16, &text)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    for (name, count) in recorded.replay() {
        println!("message {name} {count}");
    }
    Ok(())
}

fn print(options: &Options) -> Result<(), String> {
    for program in &options.programs {
        let compared = compare(program, options.nodes, options.size)?;
        let Compared {
            program,
            input,
            ours,
            ours_placed,
            theirs,
            theirs_moving,
        } = &compared;
        println!("input {program} {input}");
        let all = [
            ("ours", ours),
            ("ours_placed", ours_placed),
            ("theirs", theirs),
            ("theirs_moving", theirs_moving),
        ];
        for (memory, measured) in all {
            println!("{}", line(program, memory, measured));
        }
        println!("ratio {program} {:.3}", compared.ratio());
    }
    Ok(())
}

fn line(program: &str, memory: &str, measured: &Measured) -> String {
    let counts = measured.counts;
    format!(
        "cost {program} {memory} messages {} bytes {} pages {} synchronisation {} microseconds {}",
        counts.messages,
        counts.bytes,
        counts.pages,
        counts.synchronisation,
        measured.time / 1000
    )
}

//! The page that is served when there is no folder: what the server runs on.

use crate::html::{Escaped, page};

/// The page, as things are now.
pub fn render() -> String {
    let stats = darner::stats();
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let system = match cfg!(target_os = "hermit") {
        true => "Darner",
        false => std::env::consts::OS,
    };
    let mut rows = vec![
        ("System", system.to_owned()),
        ("CPUs", stats.cpus.to_string()),
        ("Memory", mib(stats.memory.total)),
        ("free", mib(stats.memory.free)),
    ];
    if let Some(resident) = stats.resident {
        rows.push(("of this program", mib(resident)));
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            let value = Escaped(value);
            format!("<tr><th>{name}</th><td class=\"number\">{value}</td></tr>\n")
        })
        .collect();
    let intro = "<p>This page comes from <code>apps/httpd</code>. Give it a folder with \
                 <code>--dir</code>, and it serves that.</p>\n";
    page("It works", &format!("{intro}<table>\n{rows}</table>\n"))
}

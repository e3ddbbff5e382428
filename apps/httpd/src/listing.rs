//! The page that stands for a folder without an index.

use std::fs;
use std::io;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::html::{Escaped, page};

/// What a name may not have in a link.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A page with a link for everything in this folder; `below` is its path as clients
/// know it, without slashes at the ends.
pub fn render(folder: &Path, below: &Path) -> io::Result<String> {
    let mut names = names(folder)?;
    names.sort();
    let mut items = String::new();
    if below.iter().next().is_some() {
        items.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for name in names {
        // The slash of a folder is no part of its name.
        let (plain, slash) = match name.strip_suffix('/') {
            Some(plain) => (plain, "/"),
            None => (&*name, ""),
        };
        let link = utf8_percent_encode(plain, RESERVED);
        let shown = Escaped(&name);
        items.push_str(&format!("<li><a href=\"{link}{slash}\">{shown}</a></li>\n"));
    }
    let title = format!("/{}", below.display());
    Ok(page(&title, &format!("<ul>\n{items}</ul>\n")))
}

/// What is in a folder; folders with a slash at the end. What no URL can name is left out.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // The target's standard library takes an empty folder for an error.
        Err(error) if error.raw_os_error() == Some(0) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_folder = fs::metadata(entry.path()).is_ok_and(|it| it.is_dir());
        if let Ok(mut name) = entry.file_name().into_string() {
            name.push_str(if is_folder { "/" } else { "" });
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b c")).unwrap();
        fs::write(folder.path().join("a<\"?.txt"), "").unwrap();
        let top = render(folder.path(), Path::new("")).unwrap();
        assert!(
            top.contains("<a href=\"a%3C%22%3F.txt\">a&lt;&quot;?.txt</a>"),
            "{top}"
        );
        assert!(top.contains("<a href=\"b%20c/\">b c/</a>"), "{top}");
        assert!(!top.contains("../"));
        let below = render(&folder.path().join("b c"), Path::new("b c")).unwrap();
        assert!(
            below.contains("<h1>/b c</h1>") && below.contains("../"),
            "{below}"
        );
    }
}

//! From the target of a request to a path below the folder that is served.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::status::Status;

/// The path that a target names, relative to the folder; and whether it ends as the
/// name of a folder does.
#[derive(Debug, PartialEq)]
pub struct Target {
    /// The path; it never leaves the folder.
    pub path: PathBuf,
    /// How it ends.
    pub form: Form,
}

/// How a target ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the name of a file, or of a folder that lacks its slash.
    File,
    /// With a slash.
    Folder,
}

/// Understands a target; one that leads out of the folder is refused.
pub fn parse(target: &str) -> Result<Target, Status> {
    let path = without_origin(target)?;
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let mut names = PathBuf::new();
    for segment in path.split('/') {
        let name = percent_decode_str(segment)
            .decode_utf8()
            .map_err(|_| Status::NotFound)?;
        match &*name {
            "" | "." => {}
            name if is_plain(name) => names.push(name),
            _ => return Err(Status::BadRequest),
        }
    }
    let form = match path.ends_with('/') {
        true => Form::Folder,
        false => Form::File,
    };
    Ok(Target { path: names, form })
}

/// What is behind the server's name, if that is part of the target.
fn without_origin(target: &str) -> Result<&str, Status> {
    if target.starts_with('/') {
        return Ok(target);
    }
    let scheme = target.get(..7);
    match scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
        true => Ok(target[7..]
            .find('/')
            .map_or("/", |slash| &target[7 + slash..])),
        false => Err(Status::BadRequest),
    }
}

/// Whether a decoded segment is the name of something in a folder, and nothing else.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let is_name = matches!(components.next(), Some(Component::Normal(only)) if only == name);
    is_name && components.next().is_none() && !name.contains(['\0', '/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> String {
        parse(target).unwrap().path.to_str().unwrap().to_owned()
    }

    #[test]
    fn names_are_decoded() {
        assert_eq!(path("/"), "");
        assert_eq!(path("/a/b.html?c=/d#e"), "a/b.html");
        assert_eq!(path("//a/./b//"), "a/b");
        assert_eq!(path("/%C3%9Cber%20alles"), "Über alles");
        assert_eq!(path("HTTP://host:80/a"), "a");
        assert_eq!(path("http://host"), "");
        assert_eq!(path("/a+b..c"), "a+b..c");
        assert_eq!(parse("/a/").unwrap().form, Form::Folder);
        assert_eq!(parse("/a").unwrap().form, Form::File);
    }

    #[test]
    fn nothing_leads_out() {
        for target in [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/%2e%2e/a",
            "/.%2E/a",
            "/a%2fb",
            "/a%5c..%5cb",
            "/a%00b",
            "/..%2f..",
            "*",
            "host:80",
            "a/b",
        ] {
            assert_eq!(parse(target), Err(Status::BadRequest), "{target}");
        }
        assert_eq!(parse("/%ff"), Err(Status::NotFound));
    }
}

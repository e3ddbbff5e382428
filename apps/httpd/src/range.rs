//! Parts of files (RFC 9110, section 14).

use std::ops::Range;

/// What a request asks for of a file.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// Bytes that the file does not have.
    Unsatisfiable,
}

/// Understands the value of `Range` for a file of so many bytes. Several ranges, other
/// units and nonsense may be ignored, and are.
pub fn parse(value: &str, length: u64) -> Part {
    let Some(spec) = value.strip_prefix("bytes=") else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Part::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Part::Whole,
    };
    match range.is_empty() {
        true => Part::Unsatisfiable,
        false => Part::Bytes(range),
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        assert_eq!(parse("bytes=0-0", 10), Part::Bytes(0..1));
        assert_eq!(parse("bytes=2-99", 10), Part::Bytes(2..10));
        assert_eq!(parse("bytes=3-", 10), Part::Bytes(3..10));
        assert_eq!(parse("bytes=-4", 10), Part::Bytes(6..10));
        assert_eq!(parse("bytes=-40", 10), Part::Bytes(0..10));
        let most = u64::MAX;
        assert_eq!(parse(&format!("bytes=5-{most}"), 10), Part::Bytes(5..10));
    }

    #[test]
    fn what_is_not_there_is_told_from_nonsense() {
        for value in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(parse(value, 10), Part::Unsatisfiable, "{value}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Unsatisfiable);
        for value in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=+1-2",
            "lines=1-2",
            "bytes=1",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(parse(value, 10), Part::Whole, "{value}");
        }
    }
}

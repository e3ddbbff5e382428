//! Prometheus' text exposition format, version 0.0.4, as it is read: for tests, and for
//! tools that compare. Stricter than the format: every number needs its help and its type,
//! and counters have the names that they should have.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

/// Labels of a number.
pub type Labels = BTreeMap<String, String>;

/// A text that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// Names, and the numbers of each by their labels.
    pub families: BTreeMap<String, BTreeMap<Labels, f64>>,
}

/// Where a text is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl core::error::Error for Wrong {}

impl Exposition {
    /// Reads all of `text`.
    ///
    /// # Errors
    /// The first line that is not as it has to be.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let mut reader = Reader::default();
        let mut line = 0;
        let mut rest = text;
        while !rest.is_empty() {
            line += 1;
            let (this, following) = rest.split_once('\n').ok_or_else(|| Wrong {
                line,
                why: "found no line feed at the end of the text".to_string(),
            })?;
            reader.line(this).map_err(|why| Wrong { line, why })?;
            rest = following;
        }
        Ok(reader.read)
    }

    /// The number with exactly these labels.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let owned = |&(label, value): &(&str, &str)| (label.to_string(), value.to_string());
        let labels: Labels = labels.iter().map(owned).collect();
        self.families.get(name)?.get(&labels).copied()
    }

    /// All numbers of that name together.
    pub fn sum(&self, name: &str) -> Option<f64> {
        Some(self.families.get(name)?.values().sum())
    }
}

#[derive(Default)]
struct Reader {
    read: Exposition,
    helped: BTreeSet<String>,
    /// Names, and whether each is a counter's.
    typed: BTreeMap<String, bool>,
    /// The family that the last line was of.
    current: String,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let comment = comment.strip_prefix(' ').unwrap_or(comment);
        if let Some(rest) = comment.strip_prefix("HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            unescape(help, &['\\', 'n'])?;
            self.enter(name)?;
            if !self.helped.insert(name.to_string()) {
                return Err(format!("found a second HELP of {name}"));
            }
        } else if let Some(rest) = comment.strip_prefix("TYPE ") {
            let (name, kind) = rest
                .split_once(' ')
                .ok_or_else(|| format!("found no type of {rest}"))?;
            self.enter(name)?;
            self.kind(name, kind)?;
        }
        Ok(())
    }

    fn kind(&mut self, name: &str, kind: &str) -> Result<(), String> {
        let is_counter = match kind {
            "counter" => true,
            "gauge" | "untyped" => false,
            _ => return Err(format!("found the type {kind}, expected counter or gauge")),
        };
        if is_counter != name.ends_with("_total") {
            return Err(format!("{name} is a {kind}: counters end in _total"));
        }
        if self.typed.insert(name.to_string(), is_counter).is_some() {
            return Err(format!("found a second TYPE of {name}"));
        }
        self.read.families.insert(name.to_string(), BTreeMap::new());
        Ok(())
    }

    /// The lines of a name are together.
    fn enter(&mut self, name: &str) -> Result<(), String> {
        check_name(name, &['_', ':'])?;
        if self.current != name {
            if self.helped.contains(name) || self.typed.contains_key(name) {
                return Err(format!("found more of {name} after another family"));
            }
            self.current = name.to_string();
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line
            .find(['{', ' ', '\t'])
            .ok_or_else(|| "found a name without a number".to_string())?;
        let (name, rest) = line.split_at(end);
        self.enter(name)?;
        let is_counter = *self
            .typed
            .get(name)
            .filter(|_| self.helped.contains(name))
            .ok_or_else(|| format!("found {name} without HELP and TYPE before it"))?;
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Labels::new(), rest),
        };
        let value: f64 = number(rest)?;
        if is_counter && (value.is_nan() || value < 0.0) {
            return Err(format!("found {value} of the counter {name}"));
        }
        let numbers = self.read.families.entry(name.to_string()).or_default();
        match numbers.insert(labels, value) {
            Some(_) => Err(format!("found the same labels of {name} twice")),
            None => Ok(()),
        }
    }
}

/// A letter or one of `more`; then digits as well.
fn check_name(name: &str, more: &[char]) -> Result<(), String> {
    let is_start = |c: char| c.is_ascii_alphabetic() || more.contains(&c);
    let is_name =
        name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit());
    match is_name {
        true => Ok(()),
        false => Err(format!("found the name `{name}`")),
    }
}

/// What is behind the brace: labels, and what comes after the other brace.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, behind) = rest
            .split_once("=\"")
            .ok_or_else(|| format!("found no label in `{rest}`"))?;
        check_name(name, &['_'])?;
        let end = closing_quote(behind).ok_or_else(|| format!("found no end of {name}"))?;
        let value = unescape(&behind[..end], &['\\', 'n', '"'])?;
        if labels.insert(name.to_string(), value).is_some() {
            return Err(format!("found the label {name} twice"));
        }
        rest = &behind[end + 1..];
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return Err(format!("found `{rest}` after a label")),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    })
}

fn unescape(text: &str, known: &[char]) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(escaped) if known.contains(&escaped) => plain.push(escaped),
                other => return Err(format!("found the escape {other:?}")),
            },
            other => plain.push(other),
        }
    }
    Ok(plain)
}

fn number(text: &str) -> Result<f64, String> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().ok_or_else(|| "found no number".to_string())?;
    let value = value
        .parse()
        .map_err(|_| format!("found `{value}`, expected a number"))?;
    // A time in ms may follow.
    match (words.next().map(str::parse::<i64>), words.next()) {
        (None | Some(Ok(_)), None) => Ok(value),
        _ => Err(format!("found `{text}`, expected a number and a time")),
    }
}

#[cfg(test)]
mod tests {
    use super::Exposition;

    const HEAD: &str = "# HELP a A \\n thing.\n# TYPE a gauge\n";

    fn parse(rest: &str) -> Result<Exposition, super::Wrong> {
        Exposition::parse(&alloc::format!("{HEAD}{rest}"))
    }

    #[test]
    fn what_is_right_is_read() {
        let text = "a 1\na{x=\"\"} 2.5\na{x=\"\\\\ \\n \\\" {},=é\",y_1=\"2\",} -3e2 17\n\n";
        let read = parse(text).unwrap();
        assert_eq!(read.get("a", &[]), Some(1.0));
        assert_eq!(read.get("a", &[("x", "")]), Some(2.5));
        let labels = [("x", "\\ \n \" {},=é"), ("y_1", "2")];
        assert_eq!(read.get("a", &labels), Some(-300.0));
        assert_eq!(read.sum("a"), Some(-296.5));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "a 1",
            "a\n",
            "a \n",
            "a x\n",
            "a 1 2 3\n",
            "a 1 2.5\n",
            "a 1\na 2\n",
            "a{x} 1\n",
            "a{x=1} 1\n",
            "a{x=\"1} 1\n",
            "a{x=\"\\t\"} 1\n",
            "a{x=\"1\" y=\"2\"} 1\n",
            "a{x=\"1\",x=\"2\"} 1\n",
            "a{1=\"1\"} 1\n",
            "a{x:y=\"1\"} 1\n",
            "a-b 1\n",
            "b 1\n",
            "# TYPE a gauge\n",
            "# HELP a Again.\n",
            "# HELP b \\x\n",
            "# HELP b B.\nb 1\n",
            "# TYPE b gauge\nb 1\n",
            "# TYPE b thing\n",
            "# TYPE b counter\n",
            "# TYPE b_total gauge\n",
            "# HELP b_total B.\n# TYPE b_total counter\nb_total -1\n",
            "# HELP b B.\na 1\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("a 1\nb 1\n").unwrap_err().line, 4);
    }
}

//! The command line.

/// What the command line may say.
pub const USAGE: &str = "usage: mandelbrot [--size WIDTH] [--threads N] [--out FILE]";

/// The command line, understood.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// Width of the picture in points; the height is two thirds of it.
    pub size: usize,
    /// Number of threads, if not one for each CPU.
    pub threads: Option<usize>,
    /// Where the picture goes as a PPM file, if anywhere.
    pub out: Option<String>,
}

impl Options {
    /// Reads the words after the program's name.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            size: 240,
            threads: None,
            out: None,
        };
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--size" => options.size = number(&flag, &value()?, 16..=8192)?,
                "--threads" => options.threads = Some(number(&flag, &value()?, 1..=1024)?),
                "--out" => options.out = Some(value()?),
                _ => return Err(format!("unknown option {flag}")),
            }
        }
        Ok(options)
    }
}

/// The number that `text` spells, if `range` has it.
fn number(flag: &str, text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "{flag}: expected a number from {} to {}, found {text:?}",
            range.start(),
            range.end()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn understands_all_options() {
        let options = parse("--out /x.ppm --size 99 --threads 3").unwrap();
        assert_eq!(
            options,
            Options {
                size: 99,
                threads: Some(3),
                out: Some("/x.ppm".into())
            }
        );
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(parse("--size").unwrap_err(), "--size needs a value");
        assert_eq!(parse("--sise 3").unwrap_err(), "unknown option --sise");
        assert!(parse("--size 3").unwrap_err().contains("16 to 8192"));
    }
}

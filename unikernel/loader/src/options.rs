//! The kernel options that matter before there is a kernel: the ports on which a
//! failure is reported.

/// Where to report that the program could not be started, besides COM1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// `control=`: a debug console for control records.
    pub control: Option<u16>,
    /// `exit=`: a debug exit device.
    pub exit: Option<u16>,
}

/// The command line's quoting does not close. Holds the ports found anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnclosedQuote(pub Ports);

impl Ports {
    /// Reads the options before `--`; unknown ones are the kernel's business.
    pub fn parse(command_line: &str) -> Result<Self, UnclosedQuote> {
        match shell_words::split(command_line) {
            Ok(words) => Ok(Self::from_words(words.iter().map(|word| word.as_str()))),
            Err(_) => Err(UnclosedQuote(Self::from_words(
                command_line.split_whitespace(),
            ))),
        }
    }

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut ports = Self::default();
        for word in words.take_while(|&word| word != "--") {
            match word.split_once('=') {
                Some(("control", value)) => ports.control = port(value),
                Some(("exit", value)) => ports.exit = port(value),
                _ => {}
            }
        }
        ports
    }
}

/// A port number, hexadecimal with `0x` or decimal.
fn port(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_two_dashes() {
        let ports = Ports::parse("name=x control=0xea exit=244 -- exit=1 control=2");
        let expected = Ports {
            control: Some(0xea),
            exit: Some(0xf4),
        };
        assert_eq!(ports, Ok(expected));
        assert_eq!(Ports::parse("-- exit=1"), Ok(Ports::default()));
        assert_eq!(Ports::parse(""), Ok(Ports::default()));
    }

    #[test]
    fn quoted_words_are_no_options() {
        assert_eq!(Ports::parse("env='A=1 exit=0xf4'"), Ok(Ports::default()));
    }

    #[test]
    fn values_that_are_no_ports_are_ignored() {
        assert_eq!(
            Ports::parse("exit=0x10000 control=tty"),
            Ok(Ports::default())
        );
    }

    #[test]
    fn ports_are_known_even_when_the_quoting_is_broken() {
        let expected = Ports {
            control: None,
            exit: Some(0xf4),
        };
        assert_eq!(
            Ports::parse("exit=0xf4 env='A"),
            Err(UnclosedQuote(expected))
        );
    }
}

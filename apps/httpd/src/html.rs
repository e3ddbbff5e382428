//! Pages.

use std::fmt::{self, Display, Write};

/// What all pages look like.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:44rem;\
padding:0 1rem;color:#222;background:#fff}h1{font-size:1.4rem}a{color:#05a}\
td,th{padding:.1rem 1.5rem .1rem 0;text-align:left}td.number{text-align:right}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}a{color:#8bf}}";

/// A page of this title, which is its heading too; `body` is HTML.
pub fn page(title: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Text as HTML, between tags and in quoted values.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let page = page("<script>'\"&", "<p>x</p>\n");
        assert!(page.contains("<title>&lt;script&gt;&#39;&quot;&amp;</title>"));
        assert!(page.contains("<p>x</p>"));
    }
}

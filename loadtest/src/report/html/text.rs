//! Texts and numbers as a page shows them.
//!
//! Invariant: whatever comes from outside reaches a page through [`Escaped`].

use std::fmt;

/// Text that means itself in HTML, between tags and in quoted attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// Three digits that say something: `0.12`, `1.23`, `12.3`, `123`, `12,345`.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => return grouped(value.round()),
    };
    format!("{value:.digits$}")
}

/// Thousands with a comma between.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A latency with its unit: `870 µs`, `1.25 ms`, `2 s`.
pub(crate) fn latency(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 999.5 => (us, "µs"),
        us if us < 999_500.0 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", short(value))
}

/// For an axis: `0`, `500`, `20k`, `1.5M`.
pub(crate) fn axis(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", short(value / 1e6)),
        value if value >= 1e3 => format!("{}k", short(value / 1e3)),
        value => short(value),
    }
}

/// [`number`] without zeros that say nothing.
pub(crate) fn short(value: f64) -> String {
    let text = number(value);
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_text() {
        let hostile = r#"<script>alert("a" & 'b')</script>ü"#;
        let escaped = Escaped(hostile).to_string();
        assert_eq!(escaped, "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;ü");
        assert_eq!(Escaped("plain").to_string(), "plain");
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let numbers = [0.0, 1.234, 9.996, 12.34, 99.96, 1234.5, 1_234_567.0];
        assert_eq!(numbers.map(number), ["0.00", "1.23", "10.0", "12.3", "100", "1,235", "1,234,567"]);
        let latencies = [0.0, 87.0, 999.6, 1250.0, 20_000.0, 2_000_000.0];
        assert_eq!(latencies.map(latency), ["0 µs", "87 µs", "1 ms", "1.25 ms", "20 ms", "2 s"]);
        assert_eq!([0.0, 500.0, 20_000.0, 1_500_000.0].map(axis), ["0", "500", "20k", "1.5M"]);
    }
}

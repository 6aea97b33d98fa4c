//! Files that hold one secret.

use std::path::Path;

use zeroize::Zeroizing;

use crate::oauth::secret::Secret;

/// More than any secret needs: a file beyond is not the one that was meant.
const SECRET_BYTES_MAX: usize = 65_536;

/// Reads a secret from a file: its bytes without one line end at their end.
///
/// # Errors
/// What is wrong, with the file's name and nothing of its content.
pub(crate) fn read(path: &Path) -> Result<Secret, String> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let secret = without_line_end(&bytes);
    if secret.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    if secret.len() > SECRET_BYTES_MAX {
        return Err(format!("{} is longer than {SECRET_BYTES_MAX} bytes, hardly a secret", path.display()));
    }
    Ok(Secret::new(secret))
}

/// The same bytes without one line end (LF or CR LF) at their end.
pub(crate) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes_before_lf = bytes.strip_suffix(b"\n");
    bytes_before_lf.map_or(bytes, |rest| rest.strip_suffix(b"\r").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_dropped_and_no_more() {
        for (bytes, rest) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), (" a \r", " a \r"), ("\n", "")]
        {
            assert_eq!(without_line_end(bytes.as_bytes()), rest.as_bytes());
        }
    }

    #[test]
    fn an_empty_and_a_missing_file_are_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        assert!(read(&path).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path).unwrap_err().ends_with("is empty"));
        std::fs::write(&path, "x y\n").unwrap();
        assert_eq!(read(&path).unwrap(), Secret::new(b"x y"));
    }
}

//! Secrets from files and standard input, never from an argument: arguments can be seen by everybody on the machine.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::output::{Failure, note};
use crate::config::secret_file;
use crate::oauth::secret::Secret;

/// What stands for standard input or output in place of a file's name.
pub(super) const DASH: &str = "-";

/// More than any key file or secret takes.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Whether a path is `-`.
pub(super) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == DASH
}

/// A secret from a file, or one line of standard input for `-`; `what` it is, for people. Two secrets on standard input are two lines.
pub(super) fn secret(path: &Path, what: &str) -> Result<Secret, Failure> {
    if !is_dash(path) {
        return secret_file::read(path).map_err(Failure::new);
    }
    let secret = line(what)?;
    if secret.expose().is_empty() {
        return Err(Failure::with_hint(format!("there is no {what} on standard input"), "one line is read"));
    }
    Ok(secret)
}

/// One line of standard input, without its end; empty where there is none.
pub(super) fn line(what: &str) -> Result<Secret, Failure> {
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        note(&format!("{what}, then Enter (it is shown while typed):"));
    }
    let mut line = Zeroizing::new(Vec::new());
    // One by one from the buffer that all readers of standard input share: what follows the line stays for the next.
    let read = stdin.by_ref().take(INPUT_BYTES_MAX).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    Ok(Secret::new(secret_file::without_line_end(&line)))
}

/// All of standard input.
pub(super) fn everything() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(INPUT_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    Ok(bytes)
}

//! "Did you mean": the known word nearest to one that nobody knows.

/// The candidate that takes the fewest edits from `word`, if those are few for its length; of equals the first.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().collect();
    let bound = (word.len() / 3).max(1);
    let measured = candidates.into_iter().map(|candidate| (distance(&word, candidate), candidate));
    measured.filter(|(edits, _)| *edits <= bound).min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(left != right);
            let mut edits = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                edits = edits.min(before_last[j - 1] + 1);
            }
            row.push(edits);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let words = ["body_bytes", "connections", "connections_per_source", "listen"];
        assert_eq!(closest("body_byte", words), Some("body_bytes"));
        assert_eq!(closest("conections", words), Some("connections"));
        assert_eq!(closest("lisetn", words), Some("listen"));
        assert_eq!(closest("colour", words), None);
        assert_eq!(closest("", words), None);
    }

    #[test]
    fn distance_counts_edits() {
        let distance = |a: &str, b| distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abcd", "acbd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

//! Which of the 256 tags a minter writes: few, so that each grant is written few times, and evenly over the primaries, so that each
//! gets its share of tokens.
//!
//! The choice follows from the slots alone, so all minters of a cluster make the same, and a grant is there once for each of them.

use crate::store::redis::slot_map::Tag;

/// Tags in use at once; more only where there are more primaries.
const TAGS: usize = 16;

/// Chooses among the tags of each primary: one of each in turn until there are enough.
pub(super) fn choose(tags_of: &[Vec<Tag>]) -> Vec<Tag> {
    let enough = TAGS.max(tags_of.len());
    let turns = tags_of.iter().map(Vec::len).max().unwrap_or(0);
    let in_turns = (0..turns).flat_map(|turn| tags_of.iter().filter_map(move |tags| tags.get(turn)));
    in_turns.copied().take(enough).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(counts: &[usize]) -> Vec<usize> {
        let mut next = Tag::all();
        let tags_of: Vec<Vec<Tag>> = counts.iter().map(|count| next.by_ref().take(*count).collect()).collect();
        let chosen = choose(&tags_of);
        tags_of.iter().map(|tags| chosen.iter().filter(|tag| tags.contains(tag)).count()).collect()
    }

    #[test]
    fn each_primary_gets_its_share() {
        assert_eq!(shares(&[85, 85, 86]), [6, 5, 5]);
        assert_eq!(shares(&[256]), [16]);
        assert_eq!(shares(&[2, 200]), [2, 14]);
        assert_eq!(shares(&[0, 200]), [0, 16]);
        assert_eq!(shares(&[10; 20]), [1; 20]);
        assert_eq!(shares(&[]), [0_usize; 0]);
        assert_eq!(shares(&[1, 1]), [1, 1]);
    }
}

//! Sets of the tags by which keys are spread over a cluster. A server outside of one keeps all of them.

use super::slot_map::Tag;

/// A set of tags.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tags([u64; 4]);

impl Tags {
    /// None.
    pub(super) const NONE: Self = Self([0; 4]);
    /// All there are.
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    pub(super) fn contains(self, tag: Tag) -> bool {
        !self.is_apart_from(Self::from(tag))
    }

    /// Whether all of these are in it.
    pub(super) fn contains_all(self, others: Self) -> bool {
        others.without(self) == Self::NONE
    }

    /// Whether none of these is in it.
    pub(super) fn is_apart_from(self, others: Self) -> bool {
        self.without(others) == self
    }

    #[must_use]
    pub(super) fn with(self, others: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | others.0[at]))
    }

    #[must_use]
    pub(super) fn without(self, others: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & !others.0[at]))
    }
}

impl From<Tag> for Tags {
    fn from(Tag(tag): Tag) -> Self {
        let mut tags = Self::NONE;
        tags.0[usize::from(tag >> 6)] = 1 << (tag & 63);
        tags
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        tags.into_iter().fold(Self::NONE, |all, tag| all.with(tag.into()))
    }
}

impl std::fmt::Debug for Tags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Tag::all().filter(|tag| self.contains(*tag)).map(|tag| tag.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_in_its_sets_and_in_no_other() {
        let even: Tags = Tag::all().filter(|tag| tag.0 % 2 == 0).collect();
        let odd = Tags::ALL.without(even);
        for tag in Tag::all() {
            assert_eq!((even.contains(tag), odd.contains(tag)), (tag.0 % 2 == 0, tag.0 % 2 == 1));
            assert!(Tags::ALL.contains(tag) && !Tags::NONE.contains(tag));
            assert_eq!(even.contains_all(tag.into()), tag.0 % 2 == 0);
        }
        assert!(even.is_apart_from(odd) && !even.is_apart_from(Tags::ALL) && even.is_apart_from(Tags::NONE));
        assert_eq!((even.with(odd), Tag::all().collect()), (Tags::ALL, Tags::ALL));
        assert_eq!(format!("{:?}", Tags::from(Tag(255)).with(Tag(64).into())), "{64, 255}");
    }
}

//! The running numbers of other nodes: a gap tells that an entry was lost on the way.
//!
//! Invariant: at most [`NODES_MAX`] nodes are remembered; a process that starts again is another node.

use foldhash::{HashMap, HashMapExt};

use super::entry::NodeId;

/// Far more nodes, each with its restarts of a day, than share one Redis.
const NODES_MAX: usize = 4096;

/// The highest number that was seen of each node.
#[derive(Debug)]
pub(super) struct Nodes(HashMap<NodeId, u64>);

impl Nodes {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Takes note of a number, and returns how many before it are missing. What is seen of a node first may be the rest of a trimmed
    /// stream, and what was seen before comes again when a stream is read anew.
    pub(super) fn saw(&mut self, node: NodeId, number: u64) -> u64 {
        if self.0.len() >= NODES_MAX && !self.0.contains_key(&node) {
            self.0.clear();
        }
        let highest = self.0.entry(node).or_insert(number);
        let missing = number.saturating_sub(highest.saturating_add(1));
        *highest = number.max(*highest);
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_once_and_a_repetition_is_none() {
        let mut nodes = Nodes::new();
        let (a, b) = (NodeId([1; 8]), NodeId([2; 8]));
        assert_eq!([40, 41, 45, 45, 41, 46].map(|number| nodes.saw(a, number)), [0, 0, 3, 0, 0, 0]);
        assert_eq!([7, 9].map(|number| nodes.saw(b, number)), [0, 1]);
    }

    #[test]
    fn nodes_are_bounded() {
        let mut nodes = Nodes::new();
        for node in 0..100_000_u64 {
            nodes.saw(NodeId(node.to_be_bytes()), 1);
            assert!(nodes.0.len() <= NODES_MAX);
        }
    }
}

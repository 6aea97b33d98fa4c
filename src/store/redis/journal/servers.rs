//! The servers that a process has met, what of each was brought up to the journal, and how far the stream was read.
//!
//! Invariants: what is settled is a tag on one life of one server; a tag that may have been elsewhere meanwhile is no longer.

use std::collections::VecDeque;

use super::stream::StreamId;
use crate::store::redis::server_info::ServerId;
use crate::store::redis::tags::Tags;

/// Servers that are remembered as settled: all primaries of a large cluster, and some that went.
pub(super) const SERVERS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Servers {
    settled: VecDeque<(ServerId, Tags)>,
    /// Whether somebody settles.
    settling: bool,
    /// What is being settled.
    under_way: Vec<(ServerId, Tags)>,
    /// How far the stream was read, and where.
    read: Option<(ServerId, StreamId)>,
    /// Where the stream was read whole, and what was missing there is sent.
    listed: Option<ServerId>,
}

impl Servers {
    /// What holds on this one of what the journal knows.
    pub(super) fn settled(&self, server: &ServerId) -> Tags {
        self.settled.iter().find(|(of, _)| of == server).map_or(Tags::NONE, |(_, tags)| *tags)
    }

    /// Whether nobody settled until now; somebody does from now on.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.settling, true)
    }

    /// Nobody settles any more.
    pub(super) fn end(&mut self) {
        self.settling = false;
        self.under_way.clear();
    }

    /// These tags are about to be settled on a server.
    pub(super) fn will_settle(&mut self, server: ServerId, tags: Tags) {
        self.under_way.push((server, tags));
    }

    /// These tags are settled, but for those that were unsettled meanwhile.
    pub(super) fn has_settled(&mut self, server: ServerId, tags: Tags) {
        let begun =
            self.under_way.iter().filter(|(of, _)| *of == server).fold(Tags::NONE, |all, (_, of)| all.with(*of));
        let tags = tags.without(Tags::ALL.without(begun));
        if let Some((_, settled)) = self.settled.iter_mut().find(|(of, _)| *of == server) {
            *settled = settled.with(tags);
            return;
        }
        self.settled.push_back((server, tags));
        if self.settled.len() > SERVERS_MAX {
            self.settled.pop_front();
        }
    }

    /// These are settled no more, but on servers that `stays` keeps. Whether any were.
    pub(super) fn unsettle(&mut self, tags: Tags, stays: impl Fn(&ServerId) -> bool) -> bool {
        let mut any = false;
        let all = self.settled.iter_mut().chain(&mut self.under_way);
        for (_, settled) in all.filter(|(server, _)| !stays(server)) {
            any |= !settled.is_apart_from(tags);
            *settled = settled.without(tags);
        }
        self.settled.retain(|(_, tags)| *tags != Tags::NONE);
        any
    }

    /// How far the stream of this server was read; its beginning where another's was.
    pub(super) fn read_to(&self, server: &ServerId) -> StreamId {
        self.read.as_ref().filter(|(of, _)| of == server).map(|(_, to)| *to).unwrap_or_default()
    }

    pub(super) fn has_read(&mut self, server: ServerId, to: StreamId) {
        self.read = Some((server, to));
    }

    pub(super) fn lists(&self, server: &ServerId) -> bool {
        self.listed.as_ref() == Some(server)
    }

    pub(super) fn has_listed(&mut self, server: ServerId) {
        self.listed = Some(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::slot_map::Tag;

    fn server(run: usize) -> ServerId {
        ServerId { run_id: run.to_string(), replication_id: "r".into() }
    }

    fn settle(servers: &mut Servers, run: usize, tags: Tags) {
        assert!(servers.begin());
        servers.will_settle(server(run), tags);
        servers.has_settled(server(run), tags);
        servers.end();
    }

    #[test]
    fn servers_are_known_by_their_life_and_forgotten_in_the_end() {
        let mut servers = Servers::default();
        let read = "7-1".parse().unwrap();
        settle(&mut servers, 0, Tags::ALL);
        servers.has_read(server(0), read);
        assert_eq!((servers.settled(&server(0)), servers.settled(&server(1))), (Tags::ALL, Tags::NONE));
        assert_eq!((servers.read_to(&server(0)), servers.read_to(&server(1))), (read, StreamId::default()));
        (1..=SERVERS_MAX).for_each(|run| settle(&mut servers, run, Tags::ALL));
        assert_eq!((servers.settled(&server(0)), servers.settled(&server(SERVERS_MAX))), (Tags::NONE, Tags::ALL));
    }

    #[test]
    fn tags_come_one_by_one_and_go_where_they_were_left() {
        let mut servers = Servers::default();
        let (one, two) = (Tags::from(Tag(1)), Tags::from(Tag(2)));
        settle(&mut servers, 0, one);
        settle(&mut servers, 0, two);
        settle(&mut servers, 1, one);
        assert_eq!(servers.settled(&server(0)), one.with(two));
        assert!(servers.unsettle(one, |stays| *stays == server(1)));
        assert_eq!((servers.settled(&server(0)), servers.settled(&server(1))), (two, one));
        assert!(!servers.unsettle(one, |stays| *stays == server(1)), "none was left there");
    }

    #[test]
    fn what_is_unsettled_while_it_is_being_settled_is_not_settled_by_that() {
        let mut servers = Servers::default();
        let (one, two) = (Tags::from(Tag(1)), Tags::from(Tag(2)));
        assert!(servers.begin() && !servers.begin());
        servers.will_settle(server(0), one.with(two));
        assert!(servers.unsettle(one, |_| false));
        servers.has_settled(server(0), one.with(two));
        assert_eq!(servers.settled(&server(0)), two);
        servers.end();
        settle(&mut servers, 0, one);
        assert_eq!(servers.settled(&server(0)), one.with(two));
        assert!(servers.begin());
        servers.has_settled(server(0), Tags::ALL);
        assert_eq!(servers.settled(&server(0)), one.with(two), "only what was begun");
    }
}

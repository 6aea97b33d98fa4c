//! A batch of questions to a cluster: the records, then the grants that are not known.

use std::sync::Arc;

use redis::Value;
use tokio::time::Instant;

use super::nodes::Nodes;
use super::rounds::{Operation, Purpose};
use crate::oauth::grant::Grant;
use crate::oauth::keys::KeyId;
use crate::oauth::token::TokenAddress;
use crate::store::redis::Inner;
use crate::store::redis::commands::Commands;
use crate::store::redis::find::{Opened, found};
use crate::store::redis::grant_seal::GrantId;
use crate::store::redis::seal::OpenedRecord;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::{Lookup, StoreError};

/// A question that has one reply.
struct Question {
    tag: Tag,
    what: What,
    reply: Result<Value, StoreError>,
}

enum What {
    Record(TokenAddress),
    Grant(GrantId),
}

/// A record whose grant is still to be read.
struct Waiting {
    place: usize,
    name: Name,
    record: OpenedRecord,
}

type Name = (Tag, KeyId, GrantId);

impl Question {
    fn new(tag: Tag, what: What) -> Self {
        Self { tag, what, reply: Err(StoreError::Unavailable) }
    }
}

impl Operation for Question {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn write(&self, commands: &mut Commands, trip: &mut Trip) {
        match &self.what {
            What::Record(address) => commands.find_record(trip, address),
            What::Grant(id) => commands.find_grant(trip, self.tag, *id),
        }
    }

    fn answer(&mut self, replies: &mut [Value], _: Result<(), StoreError>) {
        self.reply = Ok(std::mem::replace(&mut replies[0], Value::Nil));
    }

    fn fail(&mut self, error: StoreError) {
        self.reply = Err(error);
    }
}

impl Inner<Nodes> {
    pub(super) async fn find(&self, batch: &[TokenAddress], asked_at: Instant) -> Vec<Result<Lookup, StoreError>> {
        let record = |address: &TokenAddress| Question::new(Tag::of(address.page), What::Record(*address));
        let mut questions: Vec<Question> = batch.iter().map(record).collect();
        self.perform(Purpose::Find, &mut questions, asked_at + self.options.operation_timeout).await;
        self.sub_keys.borrow_mut().follow(&self.keys.load());
        let mut waiting = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for (place, (address, question)) in batch.iter().zip(questions).enumerate() {
            let opened = question.reply.and_then(|mut reply| self.open(address, &mut reply));
            answers.push(match opened {
                Ok(Opened::Answer(lookup)) => Ok(lookup),
                Ok(Opened::NeedsGrant(record)) => {
                    let name = (question.tag, address.key_id, record.grant_id);
                    waiting.push(Waiting { place, name, record });
                    Err(StoreError::GrantMissing)
                }
                Err(error) => Err(error),
            });
        }
        if !waiting.is_empty() {
            self.find_grants(&waiting, &mut answers).await;
        }
        self.overrule(batch, &mut answers);
        answers
    }

    /// Reads the grants that records wait for, each once, with a deadline of its own: on far nodes two trips take longer than one may.
    async fn find_grants(&self, waiting: &[Waiting], answers: &mut [Result<Lookup, StoreError>]) {
        let mut names: Vec<Name> = waiting.iter().map(|one| one.name).collect();
        names.sort_unstable();
        names.dedup();
        let grant = |(tag, _, id): &Name| Question::new(*tag, What::Grant(*id));
        let mut questions: Vec<Question> = names.iter().map(grant).collect();
        self.perform(Purpose::Find, &mut questions, Instant::now() + self.options.operation_timeout).await;
        let open = |((_, key_id, id), question): (&Name, Question)| {
            question.reply.and_then(|mut reply| self.open_grant(*key_id, *id, &mut reply))
        };
        let grants: Vec<Result<Arc<Grant>, StoreError>> = names.iter().zip(questions).map(open).collect();
        for Waiting { place, name, record } in waiting {
            if let Ok(at) = names.binary_search(name) {
                if let Err(error) = grants[at] {
                    self.report_refused_grant(error);
                }
                answers[*place] = grants[at].clone().map(|grant| found(record, grant));
            }
        }
    }
}

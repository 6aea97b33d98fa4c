//! What a server knows of one connection: whether it has logged in, its version of the protocol, its open transaction.

use super::resp::Reply;

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) version: u8,
    pub(super) logged_in: bool,
    /// How long the server's log was behind the connection's last write.
    pub(super) wrote: usize,
    transaction: Option<Transaction>,
}

#[derive(Clone, Debug, Default)]
struct Transaction {
    queued: Vec<Queued>,
    /// A command was refused: nothing will be executed.
    broken: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) writes: bool,
    pub(super) grows: bool,
}

impl Session {
    /// A new connection; to a server without a password it is logged in.
    pub(super) fn new(logged_in: bool) -> Self {
        Self { version: 2, logged_in, wrote: 0, transaction: None }
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub(super) fn queued(&self) -> impl Iterator<Item = &Queued> {
        self.transaction.iter().flat_map(|transaction| &transaction.queued)
    }

    pub(super) fn begin(&mut self) -> Reply {
        if self.in_transaction() {
            return Reply::error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        Reply::OK
    }

    pub(super) fn discard(&mut self) -> Reply {
        self.transaction.take().map_or_else(|| Reply::error("ERR DISCARD without MULTI"), |_| Reply::OK)
    }

    pub(super) fn queue(&mut self, command: Queued) -> Reply {
        let transaction = self.transaction.get_or_insert_default();
        transaction.queued.push(command);
        Reply::Simple("QUEUED")
    }

    pub(super) fn take_transaction(&mut self) -> Result<Vec<Queued>, Reply> {
        match self.transaction.take() {
            None => Err(Reply::error("ERR EXEC without MULTI")),
            Some(Transaction { broken: true, .. }) => {
                Err(Reply::error("EXECABORT Transaction discarded because of previous errors."))
            }
            Some(transaction) => Ok(transaction.queued),
        }
    }

    /// A command that was not admitted breaks an open transaction; `EXEC` that was not ends it, and says why in its own words.
    pub(super) fn refused(&mut self, name: &str, refusal: Reply) -> Reply {
        if name == "exec"
            && let Reply::Error(text) = &refusal
        {
            self.transaction = None;
            let why = text.strip_prefix("ERR ").unwrap_or(text);
            return Reply::Error(format!("EXECABORT Transaction discarded because of: {why}"));
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.broken = true;
        }
        refusal
    }
}

//! The file: opened, written, thinned out. Who writes owns it alone; readers have connections of their own.

use crate::{EndedCall, Record, Retention, tables};
use calls::{Restored, Stored};
use rusqlite::{Connection, ErrorCode, Transaction, params};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a statement waits for another's lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Entries that are thinned out in one transaction, so that nobody waits long.
const THINNED_AT_ONCE: u32 = 1_000;
/// Callbacks that are done and still held in memory after a start.
const MOST_DONE: u32 = 1_000;
/// Callbacks that are taken up at a start.
const MOST_CALLBACKS: u32 = 100_000;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file or its folder cannot be made or opened.
    #[error("the file cannot be opened: {0}")]
    File(#[from] io::Error),
    /// What is there is no database, or its pages contradict each other.
    #[error(
        "the file is damaged or no ledger ({0}): move it away, and a new one is begun, or put a good copy in its place"
    )]
    Damaged(rusqlite::Error),
    /// Another program's database.
    #[error("the file belongs to another program: name another path for the ledger")]
    Foreign,
    /// A newer Tandem wrote the file.
    #[error("the file has version {found}, expected at most {known}: it was written by a newer Tandem")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest version that is known.
        known: i64,
    },
    /// What SQLite says.
    #[error("{0}")]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            _ => Self::Sql(error),
        }
    }
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// The file itself: somebody may move it away under our feet.
    inode: u64,
    connection: Connection,
}

impl File {
    /// Opens the file, making it where it is not there, and brings its tables up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        }
        // Callers' numbers and words are nobody else's business; the log beside it gets the same mode.
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        let inode = file.metadata()?.ino();
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        tables::bring_up_to_date(&mut connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Each transaction is on the disk before the next begins.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { path: path.to_owned(), inode, connection })
    }

    /// Whether the file is still the one at its path.
    pub(crate) fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    /// What is needed to go on.
    pub(crate) fn restored(&self) -> Result<Restored, LedgerError> {
        let mut open = self.connection.prepare("SELECT * FROM callbacks WHERE state != 'done' ORDER BY id LIMIT ?1")?;
        let mut done = self
            .connection
            .prepare("SELECT * FROM callbacks WHERE state = 'done' ORDER BY changed_ms DESC LIMIT ?1")?;
        let mut callbacks = crate::reader::sound(open.query_map([MOST_CALLBACKS], crate::reader::callback)?)?;
        callbacks.extend(crate::reader::sound(done.query_map([MOST_DONE], crate::reader::callback)?)?);
        let mut presences = self.connection.prepare("SELECT * FROM presence ORDER BY agent")?;
        let presences = crate::reader::sound(presences.query_map([], crate::reader::presence)?)?;
        Ok(Restored { callbacks, presences })
    }

    /// Writes records in one transaction: all of them or none.
    pub(crate) fn write<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> Result<(), LedgerError> {
        let transaction = self.connection.transaction()?;
        for record in records {
            match record {
                Record::Call(call) => write_call(&transaction, call)?,
                Record::Stored(_, stored) => write_stored(&transaction, stored)?,
            }
        }
        Ok(transaction.commit()?)
    }

    /// Takes some of what is past its time away; false when nothing is left to take.
    pub(crate) fn thin_out(&mut self, retention: &Retention, now_ms: u64) -> Result<bool, LedgerError> {
        let before = |kept: Duration| whole(now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX)));
        let transaction = self.connection.transaction()?;
        let mut taken = 0;
        for (table, column, filter, kept, most) in [
            ("calls", "released_ms", "1", retention.calls, Some(retention.most_calls)),
            ("callbacks", "changed_ms", "state = 'done'", retention.callbacks, None),
            ("messages", "left_ms", "1", retention.messages, Some(retention.most_messages)),
        ] {
            let old = format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {filter} AND {column} < ?1 LIMIT {THINNED_AT_ONCE})"
            );
            taken += transaction.execute(&old, [before(kept)])?;
            if let Some(most) = most {
                let count: i64 =
                    transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
                let over = count.saturating_sub(whole(most)).clamp(0, THINNED_AT_ONCE.into());
                if over > 0 {
                    let oldest =
                        format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY {column} LIMIT ?1)");
                    taken += transaction.execute(&oldest, [over])?;
                }
            }
        }
        transaction.commit()?;
        Ok(taken > 0)
    }
}

fn write_call(transaction: &Transaction<'_>, call: &EndedCall) -> rusqlite::Result<()> {
    let EndedCall { call, line, setup_ms, released_ms, cause, record } = call;
    transaction.prepare_cached("INSERT OR REPLACE INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        call.to_string(),
        line,
        whole(*setup_ms),
        whole(*released_ms),
        cause,
        record
    ])?;
    Ok(())
}

fn write_stored(transaction: &Transaction<'_>, stored: &Stored) -> rusqlite::Result<()> {
    match stored {
        Stored::Presence(it) => transaction
            .prepare_cached("INSERT OR REPLACE INTO presence (agent, presence, since_ms, skills, capacity) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                it.agent,
                it.presence.map_or("", calls::Presence::name),
                whole(it.since.0),
                it.skills.as_ref().map(serde_json::to_string).transpose().unwrap_or_default(),
                it.capacity,
            ])?,
        Stored::Callback(it) => transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO callbacks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                it.id.to_string(),
                it.call.to_string(),
                it.line,
                it.ai,
                it.list,
                it.number,
                it.called,
                it.reason,
                it.at,
                whole(it.requested.0),
                it.state.name(),
                it.agent,
                whole(it.changed.0),
                it.tries,
                it.outcome,
                it.tried_in.map(|call| call.to_string()),
                serde_json::to_string(&it.context).unwrap_or_default(),
            ])?,
        // Whoever has read or deleted it in the meantime is not overruled: it is written once.
        Stored::Message(it) => transaction
            .prepare_cached("INSERT OR IGNORE INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                it.id.to_string(),
                it.call.to_string(),
                it.line,
                it.from,
                it.text,
                whole(it.left.0),
                it.read.map(|at| whole(at.0)),
            ])?,
    };
    Ok(())
}

/// SQLite's numbers have a sign.
pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

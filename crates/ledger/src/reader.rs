//! What is read beside the writer.

use crate::file::{LedgerError, PATIENCE, whole};
use calls::{AgentPresence, CallId, Callback, Message, MessageId, Presence, Time};
use core::str::FromStr;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params, types::Type};
use std::path::Path;

/// Reads, and marks messages as read or takes them away. Blocks its thread: never to be used on the engine.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Of this line.
    pub line: Option<String>,
    /// Only those that were not read.
    pub unread: bool,
    /// At most so many.
    pub limit: u32,
}

impl Reader {
    /// Opens a ledger that is there.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Self { connection })
    }

    /// Messages, the latest first.
    pub fn messages(&self, filter: &MessageFilter) -> Result<Vec<Message>, LedgerError> {
        let sql = "SELECT * FROM messages WHERE (?1 IS NULL OR line = ?1) AND (NOT ?2 OR read_ms IS NULL) \
                   ORDER BY left_ms DESC, id DESC LIMIT ?3";
        let mut statement = self.connection.prepare(sql)?;
        Ok(sound(statement.query_map(params![filter.line, filter.unread, filter.limit], message)?)?)
    }

    /// One message.
    pub fn message(&self, id: MessageId) -> Result<Option<Message>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT * FROM messages WHERE id = ?1")?;
        Ok(statement.query_row([id.to_string()], message).optional()?)
    }

    /// Marks a message as read, if it is not. `None`: there is none.
    pub fn read_message(&self, id: MessageId, now: Time) -> Result<Option<Message>, LedgerError> {
        let sql = "UPDATE messages SET read_ms = ?2 WHERE id = ?1 AND read_ms IS NULL";
        self.connection.execute(sql, params![id.to_string(), whole(now.0)])?;
        self.message(id)
    }

    /// Takes a message away. False: there is none.
    pub fn delete_message(&self, id: MessageId) -> Result<bool, LedgerError> {
        Ok(self.connection.execute("DELETE FROM messages WHERE id = ?1", [id.to_string()])? == 1)
    }

    /// The record of an ended call, as JSON.
    pub fn call(&self, id: CallId) -> Result<Option<String>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT record FROM calls WHERE id = ?1")?;
        Ok(statement.query_row([id.to_string()], |row| row.get(0)).optional()?)
    }

    /// Callbacks in every state, the oldest first.
    pub fn callbacks(&self) -> Result<Vec<Callback>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT * FROM callbacks ORDER BY requested_ms, id")?;
        Ok(sound(statement.query_map([], callback)?)?)
    }
}

/// Rows that can be read; one that somebody has edited into nonsense does not hide the others.
pub(crate) fn sound<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> rusqlite::Result<Vec<T>> {
    let mut found = Vec::new();
    for row in rows {
        match row {
            Ok(it) => found.push(it),
            Err(error @ (rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..))) => {
                tracing::warn!(%error, "an entry of the ledger cannot be read and is passed over");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

pub(crate) fn callback(row: &Row<'_>) -> rusqlite::Result<Callback> {
    let context: String = row.get("context")?;
    Ok(Callback {
        id: parsed(row, "id")?,
        call: parsed(row, "call")?,
        line: row.get("line")?,
        ai: row.get("ai")?,
        list: row.get("list")?,
        number: row.get("number")?,
        called: row.get("called")?,
        reason: row.get("reason")?,
        at: row.get("at")?,
        requested: time(row, "requested_ms")?,
        state: row.get::<_, String>("state")?.parse().map_err(|()| nonsense("a state"))?,
        agent: row.get("agent")?,
        changed: time(row, "changed_ms")?,
        tries: row.get("tries")?,
        outcome: row.get("outcome")?,
        tried_in: row.get::<_, Option<String>>("tried_in")?.and_then(|call| call.parse().ok()),
        context: serde_json::from_str(&context).unwrap_or_default(),
    })
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: parsed(row, "id")?,
        call: parsed(row, "call")?,
        line: row.get("line")?,
        from: row.get("sender")?,
        text: row.get("text")?,
        left: time(row, "left_ms")?,
        read: row.get::<_, Option<i64>>("read_ms")?.map(|ms| Time(u64::try_from(ms).unwrap_or(0))),
    })
}

pub(crate) fn presence(row: &Row<'_>) -> rusqlite::Result<AgentPresence> {
    let presence = match row.get::<_, String>("presence")?.as_str() {
        "" => None,
        word => Some(Presence::of_name(word).ok_or_else(|| nonsense("a presence"))?),
    };
    let skills = row.get::<_, Option<String>>("skills")?.map(|skills| serde_json::from_str(&skills));
    Ok(AgentPresence {
        agent: row.get("agent")?,
        presence,
        skills: skills.transpose().map_err(|_| nonsense("skills"))?,
        capacity: row.get("capacity")?,
        since: time(row, "since_ms")?,
    })
}

fn parsed<T: FromStr<Err: core::error::Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Time> {
    row.get::<_, i64>(column).map(|ms| Time(u64::try_from(ms).unwrap_or(0)))
}

fn nonsense(expected: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("expected {expected}").into())
}

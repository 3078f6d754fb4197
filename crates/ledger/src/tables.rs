//! The tables, version by version.

use crate::file::LedgerError;
use rusqlite::Connection;

/// Marks the file as ours: `Tndm`.
const APPLICATION: i64 = 0x546e_646d;

/// What brings the file from one version to the next; the first makes it. Only ever appended to: what was released stays as it is.
const MIGRATIONS: &[&str] = &["
CREATE TABLE calls (
  id TEXT PRIMARY KEY, line TEXT NOT NULL, setup_ms INTEGER NOT NULL, released_ms INTEGER NOT NULL, cause TEXT NOT NULL,
  record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_end ON calls (released_ms);
CREATE TABLE presence (agent TEXT PRIMARY KEY, presence TEXT NOT NULL, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE callbacks (
  id TEXT PRIMARY KEY, call TEXT NOT NULL, line TEXT NOT NULL, ai TEXT NOT NULL, list TEXT NOT NULL, number TEXT NOT NULL,
  called TEXT NOT NULL, reason TEXT, at TEXT, requested_ms INTEGER NOT NULL, state TEXT NOT NULL, agent TEXT,
  changed_ms INTEGER NOT NULL, tries INTEGER NOT NULL, outcome TEXT, tried_in TEXT, context TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_by_state ON callbacks (state, changed_ms);
CREATE TABLE messages (
  id TEXT PRIMARY KEY, call TEXT NOT NULL, line TEXT NOT NULL, sender TEXT, text TEXT NOT NULL, left_ms INTEGER NOT NULL,
  read_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_time ON messages (left_ms);
", "
-- What was not said of an agent is an empty presence, and nothing in the others.
ALTER TABLE presence ADD COLUMN skills TEXT;
ALTER TABLE presence ADD COLUMN capacity INTEGER;
"];

/// Brings the file to the version this program knows, all the way or not at all.
pub(crate) fn bring_up_to_date(connection: &mut Connection) -> Result<(), LedgerError> {
    migrate(connection, MIGRATIONS)
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), LedgerError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let number =
        |connection: &Connection, pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let version = number(connection, "user_version")?;
    let application = number(connection, "application_id")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application != 0 || tables > 0) {
        return Err(LedgerError::Foreign);
    }
    if version == known {
        return Ok(());
    }
    let done = usize::try_from(version).ok().filter(|done| *done < migrations.len());
    let Some(done) = done else { return Err(LedgerError::Newer { found: version, known }) };
    let transaction = connection.transaction()?;
    for migration in &migrations[done..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    tracing::info!(from = version, to = known, "the ledger's tables were brought up to date");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "CREATE TABLE a (x INTEGER) STRICT;";
    const TWO: &str = "ALTER TABLE a ADD COLUMN y TEXT; UPDATE a SET y = 'old';";

    #[test]
    fn an_older_file_is_brought_up_and_keeps_what_is_in_it() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate(&mut file, &[ONE]).unwrap();
        file.execute("INSERT INTO a VALUES (7)", []).unwrap();
        migrate(&mut file, &[ONE, TWO]).unwrap();
        migrate(&mut file, &[ONE, TWO]).unwrap();
        let row = file.query_row("SELECT x, y FROM a", [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        assert_eq!(row.unwrap(), (7, "old".to_owned()));
        assert!(matches!(migrate(&mut file, &[ONE]), Err(LedgerError::Newer { found: 2, known: 1 })));
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate(&mut file, &[ONE]).unwrap();
        assert!(migrate(&mut file, &[ONE, "ALTER TABLE a ADD COLUMN z TEXT; NONSENSE;"]).is_err());
        let columns = file.query_row("SELECT count(*) FROM pragma_table_info('a')", [], |row| row.get::<_, i64>(0));
        assert_eq!(columns.unwrap(), 1);
        migrate(&mut file, &[ONE, TWO]).unwrap();
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let mut file = Connection::open_in_memory().unwrap();
        file.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1;").unwrap();
        assert!(matches!(migrate(&mut file, &[ONE, TWO]), Err(LedgerError::Foreign)));
    }
}

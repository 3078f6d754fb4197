//! The ledger in the daemon: started, told of ended calls, read by the API, shown by the metrics.

use super::inbox::{Inbox, Note};
use crate::config::Ledger as Settings;
use anyhow::Context as _;
use calls::{LedgerNews, Problem, StoreId};
use ledger::{Counts, EndedCall, Ledger, LedgerError, Reader, Record, Retention};
use metrics::Metrics;
use std::{path::Path, sync::Arc, time::Duration};

/// Records that may wait for the disk.
const QUEUE: usize = 4_096;

/// What the engine hears of it.
pub(crate) enum News {
    /// What became of these.
    Stored(Vec<StoreId>, bool),
    /// How it is.
    Ledger(LedgerNews),
}

/// Starts it. A file that cannot be used is told and tried again; calls are taken all the same.
pub(crate) fn start(settings: &Settings, inbox: &Arc<Inbox>) -> anyhow::Result<Arc<Ledger>> {
    let wanted = ledger::Settings {
        path: settings.path.clone(),
        retention: Retention {
            calls: settings.keep_calls,
            most_calls: settings.most_calls,
            callbacks: settings.keep_callbacks,
            messages: settings.keep_messages,
            most_messages: settings.most_messages,
        },
        queue: QUEUE,
    };
    let told = Arc::clone(inbox);
    let tell = move |news| {
        let news = match news {
            ledger::News::Written(ids) => News::Stored(ids, true),
            ledger::News::Lost(ids) => News::Stored(ids, false),
            ledger::News::Failing(reason) => News::Ledger(LedgerNews::Failing { reason }),
            ledger::News::Working => News::Ledger(LedgerNews::Working),
            ledger::News::Opened(restored) => News::Ledger(LedgerNews::Opened(Box::new(restored))),
        };
        let _ = told.put(Note::Ledger(news));
    };
    let (ledger, restored) = Ledger::start(wanted, tell).context("cannot start the ledger")?;
    let news = match restored {
        Ok(restored) => {
            let (path, callbacks) = (settings.path.display(), restored.callbacks.len());
            tracing::info!(%path, callbacks, agents = restored.presences.len(), "the ledger is open");
            LedgerNews::Opened(Box::new(restored))
        }
        Err(error) => {
            let path = settings.path.display();
            tracing::error!(%path, %error, "the ledger cannot be opened; calls go on without it, and it is tried again");
            LedgerNews::Failing { reason: error.to_string() }
        }
    };
    // The engine has it before it hears of any call.
    let _ = inbox.put(Note::Ledger(News::Ledger(news)));
    Ok(Arc::new(ledger))
}

/// An ended call, as it was written down for the call records.
pub(crate) fn keep_call(ledger: &Ledger, cdr: &calls::Cdr, text: &[u8]) {
    let cause = serde_json::to_value(cdr.cause).ok().and_then(|cause| cause.as_str().map(str::to_owned));
    let call = EndedCall {
        call: cdr.call,
        line: cdr.line.clone(),
        setup_ms: cdr.setup.0,
        released_ms: cdr.released.0,
        cause: cause.unwrap_or_default(),
        record: String::from_utf8_lossy(text).into_owned(),
    };
    // A full queue is counted, and the record is in the call records' file all the same.
    let _ = ledger.write(Record::Call(Box::new(call)));
}

/// Reads the ledger. Blocks.
pub(crate) fn read<T>(path: &Path, run: impl FnOnce(&Reader) -> Result<T, LedgerError>) -> Result<T, Problem> {
    Reader::open(path).and_then(|reader| run(&reader)).map_err(|error| {
        Problem::new(503, "ledger-unavailable", "the ledger cannot be read")
            .detail(error.to_string())
            .retry_after(Duration::from_secs(5))
    })
}

/// Brings the metrics up to date.
pub(crate) fn show(counts: &Counts, metrics: &Metrics) {
    metrics.ledger_up.set(u64::from(counts.is_up()));
    for (kind, written, lost) in counts.all() {
        metrics.ledger_written_total.at_least([kind], written);
        metrics.ledger_lost_total.at_least([kind], lost);
    }
}

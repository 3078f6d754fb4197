//! The control API's way to the engine, and the rules in force.

use super::{
    inbox::{Inbox, Note},
    ledger, process, recording,
};
use crate::{config::Configuration, rules};
use calls::{CallId, Problem, Reply, Request, Time};
use control::{BoxFuture, Kept, MessageFilter, Readiness, ReloadRefused, Reloaded, Rules};
use metrics::Metrics;
use policy::{Diagnostic, RuleSet};
use serde_json::Value;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// How far the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Not everything is bound and loaded.
    Starting = 0,
    /// Takes calls.
    Ready = 1,
    /// Takes no new calls.
    Stopping = 2,
}

/// What other threads share with the engine.
pub(crate) struct Bridge {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) metrics: Arc<Metrics>,
    configuration: Arc<Configuration>,
    in_force: Mutex<Rules>,
    /// Certificates that are read anew with the rules.
    tls: std::sync::OnceLock<Arc<signaling::io::Tls>>,
    /// Counts of the recorder, where there is one.
    recorder: std::sync::OnceLock<Arc<recorder::io::Gauges>>,
    /// The ledger.
    kept: std::sync::OnceLock<Arc<::ledger::Ledger>>,
    /// One reload at a time: the last one begun is the one in force.
    reloading: tokio::sync::Mutex<()>,
    stage: AtomicU8,
}

impl Bridge {
    pub(crate) fn new(
        configuration: Arc<Configuration>,
        inbox: Arc<Inbox>,
        metrics: Arc<Metrics>,
        first: &RuleSet,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        let in_force = Mutex::new(described(&configuration, first, warnings, 1));
        metrics.reloads_total.inc(["ok"]);
        Self {
            inbox,
            metrics,
            configuration,
            in_force,
            tls: std::sync::OnceLock::new(),
            recorder: std::sync::OnceLock::new(),
            kept: std::sync::OnceLock::new(),
            reloading: tokio::sync::Mutex::default(),
            stage: AtomicU8::new(Stage::Starting as u8),
        }
    }

    /// These certificates are read anew whenever the rules are.
    pub(crate) fn reloads(&self, tls: Option<Arc<signaling::io::Tls>>) {
        if let Some(tls) = tls {
            let _ = self.tls.set(tls);
        }
    }

    /// The metrics show these counts too.
    pub(crate) fn shows(&self, recorder: Arc<recorder::io::Gauges>) {
        let _ = self.recorder.set(recorder);
    }

    /// This ledger's counts are shown, and whether it works.
    pub(crate) fn keeps(&self, ledger: Arc<::ledger::Ledger>) {
        let _ = self.kept.set(ledger);
    }

    /// As [`Bridge::on_disk`], in the ledger.
    fn in_ledger<T: Send + 'static>(
        &self,
        run: impl FnOnce(&::ledger::Reader) -> Result<T, ::ledger::LedgerError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Problem>> {
        let path = self.configuration.ledger.path.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || ledger::read(&path, run)).await;
            done.unwrap_or_else(|_| Err(Problem::new(500, "internal", "reading the ledger failed")))
        })
    }

    /// Disks may be slow: nothing that waits for a socket waits for them.
    fn on_disk<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Configuration) -> Result<T, Problem> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Problem>> {
        let configuration = Arc::clone(&self.configuration);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || run(&configuration)).await;
            done.unwrap_or_else(|_| Err(Problem::new(500, "internal", "reading recordings failed")))
        })
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// Reads the files anew; answers when the engine has them, or with every mistake.
    pub(crate) async fn reload_rules(&self) -> Result<Reloaded, ReloadRefused> {
        let _one_at_a_time = self.reloading.lock().await;
        let configuration = Arc::clone(&self.configuration);
        let loaded = tokio::task::spawn_blocking(move || rules::load_tested(&configuration)).await;
        let loaded = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(diagnostics)) => {
                self.metrics.reloads_total.inc(["refused"]);
                for mistake in &diagnostics.0 {
                    tracing::error!("rules were not reloaded, the old ones stay in force: {}", rules::line(mistake));
                }
                return Err(ReloadRefused::Rules(diagnostics));
            }
            Err(_) => {
                self.metrics.reloads_total.inc(["refused"]);
                tracing::error!("rules were not reloaded, the old ones stay in force: reading them failed");
                return Err(ReloadRefused::Problem(Problem::new(500, "internal", "reading the rules failed")));
            }
        };
        if let Some(tls) = self.tls.get().cloned()
            && let Err(error) = tokio::task::spawn_blocking(move || tls.reload()).await.unwrap_or(Ok(()))
        {
            self.metrics.reloads_total.inc(["refused"]);
            tracing::error!(%error, "nothing was reloaded, what was there stays in force");
            let detail = format!("nothing was reloaded: {error}");
            return Err(ReloadRefused::Problem(Problem::new(422, "certificate_refused", &detail)));
        }
        let rules = Arc::new(loaded.rules);
        let (taken, told) = oneshot::channel();
        let put = self.inbox.put(Note::Rules(Arc::clone(&rules), taken));
        if put.is_err() || told.await.is_err() {
            return Err(ReloadRefused::Problem(control::busy()));
        }
        let generation = self.rules_in_force().generation + 1;
        for warning in &loaded.warnings {
            tracing::warn!("{}", rules::line(warning));
        }
        let description = described(&self.configuration, &rules, loaded.warnings, generation);
        let reloaded = Reloaded {
            generation,
            rules: description.rules.len(),
            files: description.files.clone(),
            warnings: description.warnings.clone(),
        };
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = description;
        self.metrics.reloads_total.inc(["ok"]);
        tracing::info!(generation, rules = reloaded.rules, "rules reloaded");
        Ok(reloaded)
    }

    fn rules_in_force(&self) -> Rules {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn described(configuration: &Configuration, rules: &RuleSet, warnings: Vec<Diagnostic>, generation: u64) -> Rules {
    Rules {
        generation,
        loaded: Time::from(clock::io::now()),
        files: rules::paths(&configuration.rules).iter().map(|path| path.display().to_string()).collect(),
        rules: rules.rule_ids().iter().map(ToString::to_string).collect(),
        destinations: rules.destinations().map(|destination| destination.name.to_string()).collect(),
        warnings,
    }
}

impl control::Engine for Bridge {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Reply, Problem>> {
        let (waiter, reply) = oneshot::channel();
        let put = self.inbox.put(Note::Request(request, waiter));
        Box::pin(async move {
            match put {
                Ok(()) => reply.await.unwrap_or_else(|_| Err(Problem::new(503, "stopping", "the daemon is stopping"))),
                Err(_) => Err(control::busy()),
            }
        })
    }

    fn rules(&self) -> Rules {
        self.rules_in_force()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadRefused>> {
        Box::pin(self.reload_rules())
    }

    fn readiness(&self) -> Readiness {
        match self.stage.load(Ordering::Acquire) {
            stage if stage == Stage::Ready as u8 => Readiness::ready(),
            stage if stage == Stage::Starting as u8 => Readiness::not_yet("starting"),
            _ => Readiness::not_yet("stopping: no new calls are taken"),
        }
    }

    fn recordings(&self, limit: usize) -> BoxFuture<'_, Result<Value, Problem>> {
        self.on_disk(move |settings| recording::list(settings, limit))
    }

    fn voicemails(&self, mailbox: Option<String>, limit: usize) -> BoxFuture<'_, Result<Value, Problem>> {
        self.on_disk(move |settings| recording::messages(settings, mailbox.as_deref(), limit))
    }

    fn recording(&self, which: Kept) -> BoxFuture<'_, Result<Value, Problem>> {
        self.on_disk(move |settings| recording::timeline(settings, which))
    }

    fn recording_audio(&self, which: Kept) -> BoxFuture<'_, Result<control::Audio, Problem>> {
        self.on_disk(move |settings| recording::audio(settings, which))
    }

    fn recording_timeline(&self, which: Kept) -> BoxFuture<'_, Result<control::Audio, Problem>> {
        self.on_disk(move |settings| recording::whole_timeline(settings, which))
    }

    fn delete_recording(&self, which: Kept) -> BoxFuture<'_, Result<(), Problem>> {
        self.on_disk(move |settings| recording::delete(settings, which))
    }

    fn ledger_works(&self) -> bool {
        self.kept.get().is_some_and(|kept| kept.counts().is_up())
    }

    fn call_record(&self, call: CallId) -> BoxFuture<'_, Result<Option<String>, Problem>> {
        self.in_ledger(move |ledger| ledger.call(call))
    }

    fn messages(&self, filter: MessageFilter) -> BoxFuture<'_, Result<Vec<calls::Message>, Problem>> {
        let MessageFilter { line, unread, limit } = filter;
        self.in_ledger(move |ledger| ledger.messages(&::ledger::MessageFilter { line, unread, limit }))
    }

    fn message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<Option<calls::Message>, Problem>> {
        self.in_ledger(move |ledger| ledger.message(id))
    }

    fn read_message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<Option<calls::Message>, Problem>> {
        let now = Time::from(clock::io::now());
        self.in_ledger(move |ledger| ledger.read_message(id, now))
    }

    fn delete_message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<bool, Problem>> {
        self.in_ledger(move |ledger| ledger.delete_message(id))
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        let (done, told) = oneshot::channel();
        // A scrape of an engine that is stuck must still be answered: with what is known.
        let asked = self.inbox.put(Note::Gauges(done)).is_ok();
        Box::pin(async move {
            if asked {
                let _ = tokio::time::timeout(Duration::from_millis(500), told).await;
            }
            if let Some(recorder) = self.recorder.get() {
                recording::show(recorder, &self.metrics);
            }
            if let Some(kept) = self.kept.get() {
                ledger::show(kept.counts(), &self.metrics);
            }
            if let Some(process) = process::read() {
                self.metrics.set_process(&process);
            }
            self.metrics.encode()
        })
    }
}

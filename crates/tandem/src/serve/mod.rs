//! `tandem serve`: the daemon. One engine thread, media workers, and tokio for everything that may wait.

mod availability;
mod bridge;
pub(crate) mod cdr;
mod control_socket;
mod engine;
mod inbox;
mod ledger;
mod logging;
mod outbox;
mod process;
mod recording;
mod relay;
mod resolver;
mod sockets;
mod story;
mod teller;
mod uploads;
mod upstream;
mod web;
pub(crate) mod wiring;

use crate::{
    cli::{Colour, warn},
    config::{self, Configuration},
    rules,
};
use anyhow::Context as _;
use bridge::{Bridge, Stage};
use engine::{Engine, Pulse};
use inbox::{Inbox, Note};
use metrics::Metrics;
use sd_notify::NotifyState;
use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};

/// Events kept for readers that come back.
const EVENTS_KEPT: usize = 10_000;
/// What the engine may take to end after the calls' own time is over.
const ENGINE_END: Duration = Duration::from_secs(3);

/// Runs the daemon until SIGTERM.
pub(crate) fn run(path: &Path, demo: bool) -> anyhow::Result<ExitCode> {
    let Some((mut configuration, loaded)) = read(path) else { return Ok(ExitCode::FAILURE) };
    let logs = logging::start(&configuration.logging)?;
    if let Some(fitting) = process::room_for(configuration.limits.calls) {
        tracing::warn!(
            wanted = configuration.limits.calls,
            fitting,
            "the limit of open files (LimitNOFILE) allows fewer calls than `limits.calls`"
        );
        configuration.limits.calls = fitting;
    }
    for warning in &configuration.warnings {
        tracing::warn!("{}", warning.line);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{}", rules::line(warning));
    }
    let done = serve(&Arc::new(configuration), loaded, demo);
    if let Err(error) = &done {
        tracing::error!("{error:#}");
    }
    drop(logs);
    done.map(|()| ExitCode::SUCCESS).or(Ok(ExitCode::FAILURE))
}

/// Configuration and rules, or every mistake on standard error.
fn read(path: &Path) -> Option<(Configuration, policy::Loaded)> {
    let red = |block: &str| block.replace("error:", &Colour::of_stderr().red("error:"));
    let configuration = match config::load(path, &config::Environment::of_process()) {
        Ok(configuration) => configuration,
        Err(problems) => {
            warn(&red(&problems.to_string()));
            return None;
        }
    };
    match rules::load_tested(&configuration) {
        Ok(loaded) => Some((configuration, loaded)),
        Err(diagnostics) => {
            warn(&red(&diagnostics.to_string()));
            None
        }
    }
}

fn serve(configuration: &Arc<Configuration>, loaded: policy::Loaded, demo: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tandem")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // First of all: where another daemon listens, nothing of its is touched.
    let socket = control_socket::bind(&configuration.control)?;
    let _file = control_socket::File::of(&configuration.control.socket);
    let scraped = configuration.metrics.map(listen_for_scrapes).transpose()?;
    let metrics = Arc::new(Metrics::new());
    metrics.set_version(env!("CARGO_PKG_VERSION"));
    let inbox = Arc::new(Inbox::new()?);
    let events = Arc::new(control::Events::new(EVENTS_KEPT));
    let rules = Arc::new(loaded.rules);
    let bridge = Arc::new(Bridge::new(
        Arc::clone(configuration),
        Arc::clone(&inbox),
        Arc::clone(&metrics),
        &rules,
        loaded.warnings,
    ));
    let kept = ledger::start(&configuration.ledger, &inbox)?;
    bridge.keeps(Arc::clone(&kept));
    let (counted, keeper) = (Arc::clone(&metrics), Arc::clone(&kept));
    let records = cdr::Writer::<Box<calls::Cdr>>::start(&configuration.cdr, move |cdr, text| {
        teller::count_call(&counted, cdr);
        ledger::keep_call(&keeper, cdr, text);
    })?;
    let uploads = uploads::Uploads::start(configuration, runtime.handle(), &inbox, &metrics)?;
    let announcer = uploads.as_ref().map(uploads::Uploads::announcer);
    let recording = recording::Recording::start(configuration, &inbox, announcer)?;
    if let Some(recording) = &recording {
        bridge.shows(recording.gauges());
    }
    let teller = teller::Teller::start(
        Arc::clone(&events),
        recording.as_ref().map(recording::Recording::handle),
        Arc::clone(&inbox),
    )?;
    let tls = match &configuration.sip.tls {
        Some(files) => Some(Arc::new(signaling::io::Tls::load(files.clone())?)),
        None => None,
    };
    bridge.reloads(tls.clone());
    let engine = Engine::start(engine::Parts {
        configuration: Arc::clone(configuration),
        rules,
        inbox: Arc::clone(&inbox),
        metrics: Arc::clone(&metrics),
        records: records.outbox(),
        events: teller.outbox(),
        ledger: Arc::clone(&kept),
        recorder: recording.as_ref().map(recording::Recording::handle),
        taps: recording.as_ref().map(recording::Recording::taps).unwrap_or_default(),
        tls,
        runtime: runtime.handle().clone(),
        resolver: resolver::Resolver::start(
            Arc::clone(&inbox),
            runtime.handle(),
            &configuration.sip.dns,
            wiring::able(configuration),
            engine::chance(),
        ),
    })?;
    for listener in engine.listeners() {
        tracing::info!(listener = %format_args!("{}:{}", listener.transport, listener.local), "listening");
    }
    let served = runtime.block_on(watch(configuration, &bridge, &engine, &events, (socket, scraped), demo));
    engine.finish();
    records.finish();
    kept.finish();
    teller.finish();
    if let Some(recording) = recording {
        recording.finish();
    }
    if let Some(uploads) = uploads {
        uploads.stop();
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    tracing::info!("stopped");
    served
}

fn listen_for_scrapes(address: std::net::SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen at {address} (`metrics.listen`)"))?;
    listener.set_nonblocking(true)?;
    tracing::info!(at = %listener.local_addr()?, "metrics can be scraped");
    Ok(listener)
}

/// Everything that waits: the control socket, signals, the watchdog, the demo parties.
async fn watch(
    configuration: &Arc<Configuration>,
    bridge: &Arc<Bridge>,
    engine: &Engine,
    events: &Arc<control::Events>,
    (socket, scraped): (std::os::unix::net::UnixListener, Option<std::net::TcpListener>),
    demo: bool,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let api = tokio::spawn(control::serve(
        UnixListener::from_std(socket)?,
        scraped.map(tokio::net::TcpListener::from_std).transpose()?,
        control::Config::default(),
        Arc::clone(bridge) as Arc<dyn control::Engine>,
        Arc::clone(events),
        Arc::clone(&bridge.metrics),
        async move {
            // An error means that the sender is gone: then it is over as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        },
    ));
    let _parties = if demo { Some(crate::demo::live::start(configuration, engine.listeners()).await?) } else { None };
    bridge.set_stage(Stage::Ready);
    tell_systemd(&[NotifyState::Ready, NotifyState::Status("taking calls")]);
    tracing::info!(socket = %configuration.control.socket.display(), "ready");
    let watchdog = tokio::spawn(feed_watchdog(engine.pulse()));
    let sweeper = tokio::spawn(recording::expire(Arc::clone(configuration)));
    let asker = configuration.agents.asked.clone().map(|asked| {
        let agents = configuration.agents.people.iter().map(|(name, _)| name.clone()).collect();
        tokio::spawn(availability::ask(asked, agents, Arc::clone(&bridge.inbox)))
    });
    let ended = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            _ = hangup.recv() => reload(bridge).await,
            () = engine.ended() => break Err(anyhow::anyhow!("the engine ended")),
        }
    };
    tracing::info!("stopping: new calls are refused, running ones are ended");
    bridge.set_stage(Stage::Stopping);
    tell_systemd(&[NotifyState::Stopping, NotifyState::Status("ending calls")]);
    let _ = bridge.inbox.put(Note::Stop);
    let patience = configuration.limits.shutdown + ENGINE_END;
    tokio::select! {
        () = engine.ended() => {}
        () = tokio::time::sleep(patience) => tracing::warn!("the engine did not end in time"),
        _ = terminate.recv() => tracing::warn!("told twice: stopping at once"),
        _ = interrupt.recv() => tracing::warn!("told twice: stopping at once"),
    }
    stopping.send_replace(true);
    let _ = tokio::time::timeout(Duration::from_secs(1), api).await;
    watchdog.abort();
    sweeper.abort();
    if let Some(asker) = asker {
        asker.abort();
    }
    ended
}

async fn reload(bridge: &Bridge) {
    let mut told = vec![NotifyState::Reloading];
    told.extend(NotifyState::monotonic_usec_now());
    tell_systemd(&told);
    // Every mistake is in the log already.
    let _ = bridge.reload_rules().await;
    tell_systemd(&[NotifyState::Ready]);
}

/// Feeds systemd's watchdog, but only when the engine itself has turned since the last time.
async fn feed_watchdog(pulse: Arc<Pulse>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval((patience / 4).clamp(Duration::from_millis(100), Duration::from_secs(1)));
    let mut last = pulse.beats();
    loop {
        ticks.tick().await;
        let beats = pulse.beats();
        if beats != last {
            last = beats;
            tell_systemd(&[NotifyState::Watchdog]);
        }
    }
}

fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

//! The audio workers, as the engine sees them.

use super::inbox::Inbox;
use crate::config::{Configuration, Playlist, Tracks};
use anyhow::Context as _;
use calls::Opened;
use media_relay::{
    CallKey, Command, Direction, Event, Library,
    io::{Config, Gauges, OpenError, load_directory},
};
use metrics::Metrics;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

/// The workers and what peers are told of their address.
pub(crate) struct Relay {
    relay: media_relay::io::Relay,
    gauges: Gauges,
    external: Option<IpAddr>,
    overloaded: u64,
    clips: Arc<BTreeSet<String>>,
}

impl Relay {
    /// Reads prompts and music and starts the workers; `inbox` is woken by their news.
    pub(crate) fn start(
        configuration: &Configuration,
        inbox: &Inbox,
        seed: u64,
        taps: media_relay::Taps,
    ) -> anyhow::Result<Self> {
        let media = &configuration.media;
        let mut library = Library::default();
        // A file of this name takes its place.
        library.insert("beep", media_relay::Clip::beep());
        library.set_ringback(media_relay::Clip::ringback(&media.ringback));
        read_clips(&mut library, &media.prompts, "", media.prompt_level);
        read_clips(&mut library, &media.music, "music/", media.music_level);
        let said = media.prompts.join("said");
        if said.is_dir() {
            read_clips(&mut library, &said, "said/", media.prompt_level);
        }
        for list in &media.playlists {
            insert_playlist(&mut library, list, media.music_level);
        }
        let clips = Arc::new(library.names().map(str::to_owned).collect());
        let config = Config {
            address: media.address,
            ports: media.ports.0..=media.ports.1,
            quarantine: media.quarantine,
            workers: media.workers,
            seed,
            library: Arc::new(library),
            taps,
        };
        let relay = media_relay::io::Relay::start(config, inbox.bell()).context("cannot start the audio workers")?;
        Ok(Self { gauges: relay.gauges(), relay, external: media.external_address, overloaded: 0, clips })
    }

    /// The names of what can be played.
    pub(crate) fn clips(&self) -> &Arc<BTreeSet<String>> {
        &self.clips
    }

    /// Opens a port of a call; its sockets are bound when this returns.
    pub(crate) fn open(&mut self, call: CallKey) -> Result<Opened, OpenError> {
        let opened = self.relay.open(call)?;
        let ip = self.external.unwrap_or_else(|| opened.address.ip());
        Ok(Opened { port: opened.port, address: SocketAddr::new(ip, opened.address.port()) })
    }

    /// Tells the worker.
    pub(crate) fn command(&mut self, command: Command) {
        if self.relay.send(command).is_err() {
            // Said once for each power of two: an overloaded worker must not drown the log as well.
            self.overloaded += 1;
            if self.overloaded.is_power_of_two() {
                tracing::error!(commands = self.overloaded, "an audio worker takes no more commands");
            }
        }
    }

    /// Wakes the workers for all that this turn told them.
    pub(crate) fn hand_over(&mut self) {
        self.relay.hand_over();
    }

    /// What the workers report.
    pub(crate) fn event(&mut self) -> Option<Event> {
        self.relay.next_event()
    }

    /// Brings the metrics up to date.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let counters = self.gauges.counters();
        metrics.ports_in_use.set(self.gauges.ports_in_use());
        metrics.rtp_packets_total.at_least(["in"], counters.packets_received);
        metrics.rtp_packets_total.at_least(["out"], counters.packets_sent);
        metrics.rtp_lost_total.at_least(counters.packets_lost);
        for (reason, total) in
            [("foreign", counters.foreign), ("malformed", counters.malformed), ("unauthentic", counters.unauthentic)]
        {
            metrics.rtp_dropped_total.at_least([reason], total);
        }
        metrics.media_late_ticks_total.at_least(counters.late_ticks);
    }

    /// Ends the workers.
    pub(crate) fn stop(self) {
        self.relay.stop();
    }
}

/// A list that plays nothing is silence, and is told.
fn insert_playlist(library: &mut Library, list: &Playlist, level: Option<f64>) {
    let clips = match &list.tracks {
        Tracks::Clips(clips) => clips.clone(),
        Tracks::Folder(folder) => {
            let prefix = format!("{}/", list.name);
            read_clips(library, folder, &prefix, level);
            library.names().filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
        }
    };
    let (known, unknown): (Vec<_>, Vec<_>) = clips.into_iter().partition(|name| library.clip(name).is_some());
    for name in unknown {
        tracing::warn!(playlist = list.name, clip = name, "a playlist names a clip that there is not");
    }
    if known.is_empty() {
        tracing::warn!(playlist = list.name, "a playlist plays nothing");
    }
    let (order, begin, goes_on, fade_in) = (list.order, list.begin, list.goes_on, list.fade_in);
    library.insert_playlist(&list.name, &media_relay::Playlist { clips: known, order, begin, goes_on, fade_in });
}

/// A folder or file that cannot be read costs its clips alone.
fn read_clips(library: &mut Library, folder: &Path, prefix: &str, level: Option<f64>) {
    for problem in load_directory(library, folder, prefix, level) {
        tracing::warn!(%problem, "a prompt cannot be played");
    }
}

/// The label of a direction in which no audio comes through.
pub(crate) const fn missing(direction: Direction) -> &'static str {
    match direction {
        Direction::FromPeer => "in",
        Direction::ToPeer => "out",
    }
}

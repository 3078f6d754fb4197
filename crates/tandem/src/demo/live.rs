//! The demo parties that `tandem serve --demo` runs beside the daemon: an AI that greets and echoes, and humans who answer.

use crate::{cli::say, config::Configuration};
use anyhow::Context as _;
use parties::io::{Demo, KEYS};
use std::{net::SocketAddr, path::Path, sync::Arc};

/// Where the shipped files expect them.
const SHIPPED: &str = "127.0.0.1:5090";

/// Starts the parties and tells whoever sits at the terminal what to do.
pub(crate) async fn start(configuration: &Configuration, listeners: &[signaling::Listener]) -> anyhow::Result<Demo> {
    let address: SocketAddr = match configuration.profiles.iter().find(|profile| profile.name == "demo") {
        Some(profile) => crate::config::address_of(&profile.uri).context("the profile `demo` must name an address")?,
        None => SHIPPED.parse()?,
    };
    let greeting = greeting(&configuration.media.prompts.join("greeting.wav"));
    let demo = Demo::start(address, configuration.control.socket.clone(), greeting)
        .await
        .with_context(|| format!("the demo AI cannot listen at {address}"))?;
    if let Some(signaling::Listener { local, .. }) = listeners.first() {
        say(&format!("call sip:support@{local} with a softphone (no registration), talk, and press:"));
        for (digit, what) in KEYS {
            say(&format!("  {digit}  {what}"));
        }
        say("Ctrl-C ends it; in another terminal: tandem calls, tandem transfer CALL frontdesk");
    }
    Ok(demo)
}

/// The greeting's samples; the demo AI has a chime of its own where there is none.
fn greeting(path: &Path) -> Option<Arc<[i16]>> {
    let mut reader = hound::WavReader::open(path).ok()?;
    let spec = reader.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample) != (1, 8_000, 16) {
        return None;
    }
    reader.samples::<i16>().collect::<Result<Vec<_>, _>>().ok().map(Arc::from)
}

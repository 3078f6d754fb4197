//! What hurts elsewhere and must not happen here, where no other test shows it: see docs/pains.md.
#![cfg(test)]

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use tests::{Stage, hears};

/// Elsewhere a consultation was dialled with the Call-ID of one that had been cancelled: the phone answered 482.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_25_each_attempt_has_a_call_id_of_its_own() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let mut ids = BTreeSet::from([talk.caller.id().to_owned(), talk.ai.id().to_owned()]);
    for attempt in 1..=3 {
        stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
        let human = stage.human_rings().await?;
        ensure!(ids.insert(human.id().to_owned()), "attempt {attempt} has a Call-ID that there was: {ids:?}");
        human.ring(180);
        human.refuse(486);
        talk.event("transfer.failed").await.with_context(|| format!("attempt {attempt}"))?;
        hears(&talk.caller, &talk.ai).await?;
    }
    talk.caller.hang_up();
    Ok(())
}

//! Two hundred calls at once between two parties, over loopback.
#![cfg(feature = "io")]

use parties::{
    io::{Keep, Party, Status, Voice},
    signal::Signal,
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};

const SOON: Duration = Duration::from_secs(40);
const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_are_set_up_heard_and_ended() {
    let voice = Voice { keep: Keep::Count, ..Voice::of(Signal::Noise(1)) };
    let ip = |n| IpAddr::from([127, 92, 1, n]);
    let caller = Arc::new(Party::bind("caller", ip(1), voice.clone()).await.expect("a socket"));
    let callee = Arc::new(Party::bind("callee", ip(2), voice).await.expect("a socket"));
    let mut ends = JoinSet::new();
    for _ in 0..CALLS {
        let (placing, to) = (Arc::clone(&caller), callee.address());
        ends.spawn(async move {
            let call = placing.call("a", "b", to).await.expect("a socket");
            call.answered(SOON).await.expect("an answer");
            timeout(SOON, call.audio().hears(50)).await.expect("a second of audio");
            call.hang_up();
            assert!(matches!(call.ended(SOON).await, Ok(Status::Ended { by_peer: false, .. })));
        });
        let taking = Arc::clone(&callee);
        ends.spawn(async move {
            let call = taking.incoming(SOON).await.expect("as many arrive as are placed");
            call.ring(180);
            call.answer();
            call.answered(SOON).await.expect("an ACK");
            assert!(matches!(call.ended(SOON).await, Ok(Status::Ended { by_peer: true, .. })));
            assert!(call.audio().count() > 0, "it heard the caller");
        });
    }
    while let Some(end) = ends.join_next().await {
        end.expect("a whole call");
    }
}

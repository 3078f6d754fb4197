//! What the core costs for whole calls, both legs of a B2BUA: `cargo bench -p signaling`.
//!
//! Two cores call one another in memory, each playing one half, so that both together do the work of one B2BUA's two legs:
//! INVITE, 100, 180, 200, ACK, BYE, 200 on each. Prints one line of JSON.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads what it has used and prints"
)]

use bytes::Bytes;
use clock::Now;
use signaling::{Command, Config, Core, Dial, Event, Flow, Input, LegId, Network, Output, Party};
use std::{net::SocketAddr, time::Duration};

const CALLS: u64 = 20_000;

fn main() {
    let sdp = Bytes::from(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    );
    let addresses: [SocketAddr; 2] =
        ["192.0.2.1:5060".parse().expect("an address"), "192.0.2.2:5060".parse().expect("an address")];
    let mut now = Now::default();
    let mut cores = addresses.map(|local| {
        let allowed = vec!["192.0.2.0/24".parse::<Network>().expect("a network")];
        let config =
            Config { listeners: vec![local.into()], user_agent: "Tandem/0.1".into(), allowed, ..Config::default() };
        Core::new(config, 1, now)
    });
    let started = cpu_seconds();
    let mut ended = 0;
    for call in 1..=CALLS {
        now = now.after(Duration::from_millis(5));
        for core in &mut cores {
            core.handle_timeout(now);
        }
        let dial = Dial {
            target: format!("sip:+4930123456@{}", addresses[1]),
            flow: Flow::udp(addresses[0], addresses[1]),
            peer_name: None,
            from: Party { display: "Alice".into(), uri: "sip:+4989123456@example.com".into() },
            to: Party::default(),
            headers: vec![("X-Tandem-Call-Id".into(), "c_01JD0000000000000000000000".into())],
            offer: Some(sdp.clone()),
            credentials: None,
            max_forwards: 70,
            invite_timeout: Duration::from_secs(60),
            first_response: None,
            session_timer: None,
            routes: Vec::new(),
        };
        let dial = Command::Dial { leg: LegId(call), dial: Box::new(dial) };
        cores[0].handle_input(now, Input::Command(dial));
        let mut hung_up = false;
        loop {
            let mut moved = false;
            for side in 0..2 {
                while let Some(output) = cores[side].poll_output() {
                    moved = true;
                    match output {
                        Output::Transmit { flow, bytes, .. } => {
                            let to = usize::from(flow.remote == addresses[1]);
                            let flow = Flow::udp(flow.remote, flow.local);
                            // As the shell does: each datagram that comes is a buffer of its own.
                            let bytes = Bytes::copy_from_slice(&bytes);
                            cores[to].handle_input(now, Input::Received { flow, bytes });
                        }
                        Output::Outside { .. } => {}
                        Output::Contacts { .. } => {}
                        Output::Event { leg, event } => match event {
                            Event::Incoming(_) => {
                                let ring = Command::Progress { leg, status: 180, answer: None, headers: vec![] };
                                cores[side].handle_input(now, Input::Command(ring));
                                let answer = Command::Answer { leg, body: Some(sdp.clone()), headers: vec![] };
                                cores[side].handle_input(now, Input::Command(answer));
                            }
                            Event::Acked { .. } => hung_up = true,
                            Event::Ended { .. } => ended += 1,
                            _ => {}
                        },
                    }
                }
            }
            if hung_up {
                hung_up = false;
                cores[0].handle_input(now, Input::Command(Command::Hangup { leg: LegId(call), reason: None }));
                moved = true;
            }
            if !moved {
                break;
            }
        }
    }
    let seconds = cpu_seconds() - started;
    assert_eq!(ended, CALLS * 2);
    let value = seconds / (CALLS as f64) * 1_000.0;
    println!(
        "{{\"name\":\"signaling_core_s_per_1000_calls\",\"value\":{value:.5},\"unit\":\"CPU s\",\"note\":\"both legs, in memory, {CALLS} calls at 200/s of virtual time\"}}"
    );
}

/// What this process has used of a processor: the kernel's own count, whatever else runs beside it.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux counts");
    let nanos: f64 = text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number");
    nanos / 1e9
}

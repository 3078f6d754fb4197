use super::*;
use crate::{Network, Opened, Request, RequestId, Route, Trunk};
use bytes::Bytes;
use media_relay::PortId;
use signaling::Event;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn core() -> Core {
    let network = Network { address: "192.0.2.10".parse().unwrap(), prefix: 32 };
    let profile = crate::AiProfile { uri: "sip:bot@192.0.2.20".into(), ..crate::AiProfile::default() };
    let config = Config {
        listeners: vec![signaling::Listener::from("192.0.2.1:5060".parse::<std::net::SocketAddr>().unwrap())],
        trunks: [("carrier".into(), Trunk { allowed: vec![network], ..Trunk::default() })].into(),
        routes: vec![Route { called: "*".into(), line: "a".into(), ai: "main".into(), ..Route::default() }],
        ai: [("main".into(), profile)].into(),
        ..Config::default()
    };
    Core::new(Arc::new(config), Arc::default(), 1, Now::default())
}

/// A caller comes; answers the commands that followed, with ports opened.
fn incoming(core: &mut Core, leg: u64) -> Vec<Output> {
    let party = |uri: &str| signaling::Party { display: String::new(), uri: uri.into() };
    let incoming = Incoming {
        account: None,
        gate: None,
        flow: signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.10:5060".parse().unwrap()),
        request_uri: "sip:1@192.0.2.1".into(),
        from: party("sip:2@192.0.2.10"),
        to: party("sip:1@192.0.2.1"),
        call_id: format!("call-{leg}"),
        reliable: false,
        headers: Vec::new(),
        offer: Some(Bytes::from_static(SDP.as_bytes())),
        max_forwards: 70,
    };
    let leg = LegId(leg | 1 << 63);
    core.handle_input(Now::default(), Input::Signaling { leg, event: Event::Incoming(Box::new(incoming)) });
    drain(core)
}

fn drain(core: &mut Core) -> Vec<Output> {
    let mut all = Vec::new();
    while let Some(output) = core.poll_output() {
        if let Output::OpenPort { id, .. } = output {
            let port = PortId(u32::try_from(id.0).unwrap());
            let opened = Opened { port, address: "192.0.2.1:20000".parse().unwrap() };
            core.handle_input(Now::default(), Input::PortOpened { id, opened });
        }
        all.push(output);
    }
    all
}

#[test]
fn a_panic_in_one_calls_step_ends_that_call_and_no_other() {
    let mut core = core();
    incoming(&mut core, 1);
    incoming(&mut core, 2);
    assert_eq!(core.calls.len(), 2);
    core.panics = true;
    let event = Event::Provisional { status: 180, body: None };
    core.handle_input(Now::default(), Input::Signaling { leg: LegId(1), event });
    let after = drain(&mut core);
    let hung_up =
        |leg| after.iter().any(|it| matches!(it, Output::Signaling(Command::Hangup { leg: it, .. }) if *it == leg));
    assert!(hung_up(LegId(1)) && hung_up(LegId(1 | 1 << 63)), "both legs of the call are ended");
    assert!(!hung_up(LegId(2)));
    let closed = after.iter().filter(|it| matches!(it, Output::Media(media_relay::Command::Close { .. }))).count();
    assert_eq!(closed, 2);
    assert!(after.iter().any(|it| matches!(it, Output::Cdr(cdr) if cdr.cause == crate::EndCause::InternalError)));
    assert_eq!(core.calls.len(), 1);
    let event = Event::Provisional { status: 180, body: None };
    core.handle_input(Now::default(), Input::Signaling { leg: LegId(2), event });
    let rings = |it: &Output| matches!(it, Output::Signaling(Command::Progress { .. }));
    assert!(drain(&mut core).iter().any(rings), "the other call goes on");
    core.handle_input(Now::default(), Input::Shutdown);
    assert!(core.gauges().is_empty());
}

#[test]
fn a_call_written_down_reads_back_the_same() {
    let mut core = core();
    incoming(&mut core, 1);
    let body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let event = Event::Answered { body: Some(Bytes::from_static(body)), headers: Vec::new() };
    core.handle_input(Now::default(), Input::Signaling { leg: LegId(1), event });
    drain(&mut core);
    let call = core.calls().next().unwrap();
    let request = Request::Transfer {
        call,
        body: Box::new(crate::TransferBody::to("sip:human@192.0.2.30")),
        idempotency_key: Some("k".into()),
        wait: None,
    };
    core.handle_input(Now::default(), Input::Request { id: RequestId(1), request });
    drain(&mut core);
    let written = core.snapshot(Now::default(), call).unwrap();
    let text = serde_json::to_string(&written).unwrap();
    assert!(text.contains("\"stage\":\"Transferring\""));
    // A process of its own takes it up.
    let gauges = core.gauges();
    core = self::core();
    assert_eq!(core.restore(Now::default(), &serde_json::from_str(&text).unwrap()).unwrap(), call);
    assert_eq!(core.snapshot(Now::default(), call), Some(written));
    assert_eq!(
        (core.gauges().legs, core.gauges().ports, core.gauges().timers),
        (gauges.legs, gauges.ports, gauges.timers)
    );
    let request = Request::Call { call };
    core.handle_input(Now::default(), Input::Request { id: RequestId(2), request });
    assert!(matches!(drain(&mut core)[..], [Output::Reply { ref reply, .. }] if reply.is_ok()));
    // What was read goes on: the caller hangs up and everybody leaves.
    let event = Event::Ended { by: signaling::EndedBy::Peer, status: None, reason: None, retry_after: None };
    core.handle_input(Now::default(), Input::Signaling { leg: LegId(1 | 1 << 63), event });
    let hung_up = drain(&mut core).iter().filter(|it| matches!(it, Output::Signaling(Command::Hangup { .. }))).count();
    assert_eq!(hung_up, 2);
}

#[test]
fn what_is_no_call_of_ours_is_not_taken_up() {
    let mut core = core();
    incoming(&mut core, 1);
    let later = Now { monotonic: Monotonic::from_nanos(5), ..Now::default() };
    let call = core.calls().next().unwrap();
    let mut written = serde_json::to_value(core.snapshot(later, call).unwrap()).unwrap();
    let mut restore = |written: &serde_json::Value, now| {
        core.restore(now, &serde_json::from_value(written.clone()).unwrap()).map_err(|error| error.to_string())
    };
    assert!(restore(&written, Now::default()).unwrap_err().contains("the clock must go on"));
    assert!(restore(&written, later).is_ok());
    written["version"] = 1.into();
    assert_eq!(restore(&written, later).unwrap_err(), "found a call of version 1, expected version 2");
    written["version"] = 2.into();
    written["call"]["call"]["stage"] = "Nowhere".into();
    assert!(restore(&written, later).unwrap_err().starts_with("found what is no call"));
}

#[test]
fn events_of_a_later_process_have_higher_numbers() {
    let first = |unix| {
        let (config, rules) = {
            let core = core();
            (core.config, core.rules)
        };
        let now = Now { unix, ..Now::default() };
        let mut core = Core::new(config, rules, 1, now);
        let published = incoming(&mut core, 1).into_iter().find_map(|output| match output {
            Output::Publish(event) => Some(event.seq),
            _ => None,
        });
        published.unwrap()
    };
    let (one, later) =
        (first(std::time::Duration::from_secs(1_900_000_000)), first(std::time::Duration::from_secs(1_900_000_001)));
    assert_eq!((one, later), (1_900_000_000_000_001, 1_900_000_001_000_001));
    assert!(later < 1 << 53, "a number that JSON readers take for what it is");
}

#[test]
fn escapes_in_a_user_are_read_and_wrong_ones_left() {
    assert_eq!(unescape("%2B49301"), "+49301");
    assert_eq!(unescape("a%zzb%"), "a%zzb%");
    assert_eq!(unescape("a%00b"), "a%00b");
}

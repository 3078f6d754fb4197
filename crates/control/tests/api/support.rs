//! A daemon that is only pretended, behind the real API on a real socket.

use calls::{
    CallId, CallList, CallState, CallSummary, ContextReply, DoneReply, EvaluationReply, EventResult, EventsReply,
    Guidance, Happening, Problem, PublicEvent, Reply, Request, Source, SupervisorState, Time, TransferId,
    TransferRecord, TransferReply, TransferState,
};
use control::{Audio, BoxFuture, Config, Engine, Events, Kept, Readiness, ReloadRefused, Reloaded, Rules};
use core::time::Duration;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, StatusCode};
use hyper_util::rt::TokioIo;
use metrics::Metrics;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

/// A call that is up.
pub(crate) const LIVE: &str = "c_01JD0000000000000000000001";
/// A call that has ended.
pub(crate) const ENDED: &str = "c_01JD0000000000000000000002";
/// A call that already has a transfer.
pub(crate) const BUSY_CALL: &str = "c_01JD0000000000000000000003";
/// A call that nobody knows.
pub(crate) const UNKNOWN: &str = "c_01JD0000000000000000000009";
/// A transfer under way.
pub(crate) const TRANSFER: &str = "t_01JD0000000000000000000001";
/// A transfer that is bridged already.
pub(crate) const BRIDGED: &str = "t_01JD0000000000000000000002";
/// A transfer that nobody knows.
pub(crate) const NO_TRANSFER: &str = "t_01JD0000000000000000000009";

/// The pretended daemon.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) seen: Mutex<Vec<Request>>,
    /// Its inbox is full.
    pub(crate) full: AtomicBool,
    /// It never answers.
    pub(crate) stuck: AtomicBool,
    /// Its rules' files are broken.
    pub(crate) broken_rules: AtomicBool,
    pub(crate) unready: AtomicBool,
}

impl Fake {
    /// The one request it got since the last look.
    pub(crate) fn taken(&self) -> Request {
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    pub(crate) fn nothing_taken(&self) {
        assert!(self.seen.lock().unwrap().is_empty());
    }

    fn answer(request: &Request) -> Result<Reply, Problem> {
        let known = |call: &CallId| match call.to_string().as_str() {
            LIVE | BUSY_CALL => Ok(()),
            ENDED => Err(Problem::new(410, "call-ended", "the call has ended")),
            _ => Err(Problem::new(404, "unknown-call", "there is no such call")),
        };
        let transfer = |transfer: &TransferId| match transfer.to_string().as_str() {
            TRANSFER | BRIDGED => Ok(Reply::Transfer(transfer_reply(*transfer, TransferState::Ringing))),
            _ => Err(Problem::new(404, "unknown-transfer", "there is no such transfer")),
        };
        let done = || Reply::Done(DoneReply { done: true });
        match request {
            Request::Events { call, events } => {
                known(call)?;
                let results = events.iter().map(|posted| EventResult {
                    kept: None,
                    event: posted.id.clone().unwrap_or_else(|| posted.event.type_name().to_owned()),
                    repeated: false,
                    decision: None,
                    explanation: None,
                    notes: Vec::new(),
                });
                let results = results.collect();
                Ok(Reply::Events(EventsReply { results, guidance: Guidance::Continue, speak_by_ms: None }))
            }
            Request::Transfer { call, body, .. } => {
                known(call)?;
                if call.to_string() == BUSY_CALL {
                    let mut problem = Problem::new(409, "transfer-active", "a call has one active transfer at a time");
                    problem.transfer = Some(Box::new(TRANSFER.parse().unwrap()));
                    return Err(problem);
                }
                let state = if body.to == "quick" { TransferState::Bridged } else { TransferState::LastWords };
                Ok(Reply::Transfer(transfer_reply(TRANSFER.parse().unwrap(), state)))
            }
            Request::Place { body, .. } => match (body.campaign.as_deref(), body.to.as_str()) {
                (Some("full"), _) => Err(Problem::new(429, "limit-reached", "no more calls may be placed now")
                    .detail("2 calls are up")
                    .retry_after(Duration::from_secs(5))),
                (_, to) => {
                    let failure = (to == "tel:+4930486").then_some(policy::Cause::Busy);
                    Ok(Reply::Placed(calls::PlacedReply {
                        call: LIVE.parse().unwrap(),
                        over: failure.is_some(),
                        state: CallState::Connecting,
                        answered: None,
                        cause: failure.map(|_| calls::EndCause::NotReached),
                        failure,
                        sip_code: failure.map(|_| 486),
                        amd: None,
                    }))
                }
            },
            Request::CancelTransfer { transfer: id } if id.to_string() == BRIDGED => {
                Err(Problem::new(409, "wrong-state", "not in a state for this").detail("it is bridged"))
            }
            Request::TransferStatus { transfer: id }
            | Request::CancelTransfer { transfer: id }
            | Request::AcceptTransfer { transfer: id, .. }
            | Request::DeclineTransfer { transfer: id, .. } => transfer(id),
            Request::Hangup { call } | Request::Handback { call, .. } | Request::Recording { call, .. } => {
                known(call).map(|()| done())
            }
            Request::Supervise { call, body } => {
                known(call)?;
                let state = if body.to == "anna" { SupervisorState::Joined } else { SupervisorState::Ringing };
                Ok(Reply::Supervisor(supervisor(&body.to, body.mode, state)))
            }
            Request::ChangeSupervisor { call, supervisor: name, mode } => match name.as_str() {
                "supervisor-1" => known(call)
                    .map(|()| Reply::Supervisor(supervisor("sip:boss@192.0.2.9", *mode, SupervisorState::Joined))),
                _ => Err(Problem::new(404, "unknown-supervisor", "there is no such supervisor")),
            },
            Request::EndSupervisor { call, .. } => known(call).map(|()| done()),
            Request::Context { call, context } => {
                known(call)?;
                Ok(Reply::Context(ContextReply { context: context.clone() }))
            }
            Request::Calls { .. } => Ok(Reply::Calls(CallList { calls: vec![summary()] })),
            Request::Agents => Ok(Reply::Agents(calls::AgentList { agents: Vec::new() })),
            Request::Agent { agent } | Request::ChangeAgent { agent, .. } => match agent.as_str() {
                "nobody" => Err(Problem::new(404, "unknown-agent", "there is no such agent")),
                _ => Ok(Reply::Agent(calls::AgentSummary {
                    id: agent.clone(),
                    state: policy::AgentState::Available,
                    presence: calls::Presence::Available,
                    after_call: None,
                    skills: BTreeMap::new(),
                    capacity: 1,
                    calls_now: 0,
                    calls_taken: 0,
                    unanswered: 0,
                    address: None,
                    idle_s: None,
                })),
            },
            Request::Callbacks { .. } => Ok(Reply::Callbacks(calls::CallbackList { callbacks: vec![callback()] })),
            Request::Callback { callback: id, .. } if *id == callback().id => Ok(Reply::Callback(Box::new(callback()))),
            Request::Callback { .. } => Err(Problem::new(404, "unknown-callback", "there is no such callback")),
            Request::Queues => Ok(Reply::Queues(calls::QueueList { queues: Vec::new() })),
            Request::Availability { destination, .. } => Ok(Reply::Availability(Box::new(calls::Availability {
                destination: destination.clone(),
                available: true,
                cause: None,
                free: None,
                waiting: 0,
                wait_s: Some(0),
                opens_at: None,
                reserved: None,
                candidates: Vec::new(),
            }))),
            Request::Trunks => Ok(Reply::Trunks(calls::TrunkList { trunks: Vec::new() })),
            Request::Call { call } => {
                known(call)?;
                Ok(Reply::Calls(CallList { calls: vec![summary()] }))
            }
            Request::Evaluate(_) => {
                Ok(Reply::Evaluation(EvaluationReply { results: Vec::new(), facts: serde_json::json!({}) }))
            }
            other => panic!("no route leads to {other:?}"),
        }
    }
}

impl Engine for Fake {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Reply, Problem>> {
        let full = self.full.load(Ordering::SeqCst);
        let stuck = self.stuck.load(Ordering::SeqCst);
        let reply = if full { Err(control::busy()) } else { Self::answer(&request) };
        self.seen.lock().unwrap().push(request);
        Box::pin(async move {
            if stuck {
                core::future::pending::<()>().await;
            }
            reply
        })
    }

    fn recordings(&self, _: usize) -> BoxFuture<'_, Result<serde_json::Value, Problem>> {
        Box::pin(async { Ok(serde_json::json!({ "recordings": [] })) })
    }

    fn voicemails(&self, mailbox: Option<String>, _: usize) -> BoxFuture<'_, Result<serde_json::Value, Problem>> {
        Box::pin(async move { Ok(serde_json::json!({ "voicemails": [], "mailbox": mailbox })) })
    }

    fn recording(&self, which: Kept) -> BoxFuture<'_, Result<serde_json::Value, Problem>> {
        let id = match which {
            Kept::Call(call) => call.to_string(),
            Kept::Message(message) => message.to_string(),
        };
        Box::pin(async move { Ok(serde_json::json!({ "call": id })) })
    }

    fn recording_audio(&self, _: Kept) -> BoxFuture<'_, Result<Audio, Problem>> {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, &[7; 100_000]).expect("room");
        std::io::Seek::rewind(&mut file).expect("a file that can be read again");
        Box::pin(async { Ok(Audio { file, name: "c_1.wav".to_owned(), media_type: "audio/wav" }) })
    }

    fn recording_timeline(&self, _: Kept) -> BoxFuture<'_, Result<Audio, Problem>> {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, b"sealed").expect("room");
        std::io::Seek::rewind(&mut file).expect("a file that can be read again");
        Box::pin(async { Ok(Audio { file, name: "c_1.json.age".to_owned(), media_type: "application/vnd.age" }) })
    }

    fn delete_recording(&self, _: Kept) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn ledger_works(&self) -> bool {
        true
    }

    fn call_record(&self, call: CallId) -> BoxFuture<'_, Result<Option<String>, Problem>> {
        Box::pin(async move { Ok((call.to_string() == LIVE).then(|| "{\"version\":1}".to_owned())) })
    }

    fn messages(&self, filter: control::MessageFilter) -> BoxFuture<'_, Result<Vec<calls::Message>, Problem>> {
        let message = calls::Message { text: format!("{filter:?}"), ..message() };
        Box::pin(async { Ok(vec![message]) })
    }

    fn message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<Option<calls::Message>, Problem>> {
        Box::pin(async move { Ok(Some(message()).filter(|it| it.id == id)) })
    }

    fn read_message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<Option<calls::Message>, Problem>> {
        let read = calls::Message { read: Some(Time(1)), ..message() };
        Box::pin(async move { Ok(Some(read).filter(|it| it.id == id)) })
    }

    fn delete_message(&self, id: calls::MessageId) -> BoxFuture<'_, Result<bool, Problem>> {
        Box::pin(async move { Ok(message().id == id) })
    }

    fn rules(&self) -> Rules {
        Rules {
            generation: 1,
            loaded: Time(1_795_000_000_000),
            files: vec!["etc/rules.yaml".into()],
            rules: vec!["three-misses".into()],
            destinations: vec!["frontdesk".into()],
            warnings: Vec::new(),
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadRefused>> {
        let broken = self.broken_rules.load(Ordering::SeqCst);
        Box::pin(async move {
            if !broken {
                return Ok(Reloaded {
                    generation: 2,
                    rules: 1,
                    files: vec!["etc/rules.yaml".into()],
                    warnings: Vec::new(),
                });
            }
            Err(ReloadRefused::Rules(policy::Diagnostics(vec![policy::Diagnostic {
                severity: policy::Severity::Error,
                file: "etc/rules.yaml".into(),
                line: 7,
                column: 5,
                width: 8,
                source: "    sentimnt: { below: -0.5 }".into(),
                message: "unknown key `sentimnt`".into(),
                help: Some("did you mean `sentiment`?".into()),
            }])))
        })
    }

    fn readiness(&self) -> Readiness {
        if self.unready.load(Ordering::SeqCst) { Readiness::not_yet("draining") } else { Readiness::ready() }
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "tandem_ports_in_use 0\n".to_owned() })
    }
}

/// The one callback there is.
pub(crate) const CALLBACK: &str = "b_01KAW0000000000000000000CB";
/// The one message there is.
pub(crate) const MESSAGE: &str = "m_01KAW0000000000000000000MS";

fn callback() -> calls::Callback {
    calls::Callback {
        id: CALLBACK.parse().unwrap(),
        call: LIVE.parse().unwrap(),
        line: "support".into(),
        ai: "agent".into(),
        list: "support".into(),
        number: "+493055512345".into(),
        called: "+49800".into(),
        reason: None,
        at: None,
        requested: Time(1),
        state: calls::CallbackState::Open,
        agent: None,
        changed: Time(1),
        tries: 0,
        outcome: None,
        tried_in: None,
        context: BTreeMap::new(),
    }
}

fn message() -> calls::Message {
    calls::Message {
        id: MESSAGE.parse().unwrap(),
        call: LIVE.parse().unwrap(),
        line: "support".into(),
        from: None,
        text: "please call".into(),
        left: Time(1),
        read: None,
    }
}

/// The API on a socket of its own, and what stands behind it.
pub(crate) struct Api {
    pub(crate) engine: Arc<Fake>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Api {
    pub(crate) fn start() -> Self {
        Self::with(Config::default(), 1_000)
    }

    pub(crate) fn with(config: Config, kept_events: usize) -> Self {
        Self::scraped_at(config, kept_events, None)
    }

    pub(crate) fn scraped_at(config: Config, kept_events: usize, scraped: Option<TcpListener>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (engine, events) = (Arc::new(Fake::default()), Arc::new(Events::new(kept_events)));
        let metrics = Arc::new(Metrics::new());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(control::serve(
            listener,
            scraped,
            config,
            Arc::clone(&engine) as Arc<dyn Engine>,
            Arc::clone(&events),
            Arc::clone(&metrics),
            async move {
                let _gone = stopped.await.is_err();
            },
        ));
        Self { engine, events, metrics, socket, stop: Some(stop), server, _folder: folder }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.client().await.send(method, path, headers, body).await
    }

    pub(crate) async fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            let _broken = connection.await.is_err();
        });
        Client { sender }
    }

    /// A connection that speaks bytes.
    pub(crate) async fn raw(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// Asks the server to stop; done when it has.
    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), &mut self.server).await.expect("the server stops").unwrap();
    }
}

/// A connection that stays open from request to request.
pub(crate) struct Client {
    sender: hyper::client::conn::http1::SendRequest<Full<bytes::Bytes>>,
}

impl Client {
    pub(crate) async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = hyper::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "tandem");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem document of this status and kind, and returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["type"], format!("urn:tandem:problem:{kind}"), "{self:?}");
        assert_eq!(document["status"], status, "{self:?}");
        assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        document["detail"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn field(&self) -> String {
        self.json()["field"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn event(seq: u64, call: &str, what: Happening) -> PublicEvent {
    PublicEvent {
        seq,
        time: Time(1_795_000_000_000 + seq),
        call: Some(call.parse().unwrap()),
        line: "support".into(),
        what,
    }
}

pub(crate) fn digit(seq: u64, call: &str) -> PublicEvent {
    event(seq, call, Happening::Dtmf { leg: "caller".into(), digit: "1".into(), duration_ms: 100 })
}

fn summary() -> CallSummary {
    CallSummary {
        id: LIVE.parse().unwrap(),
        state: CallState::WithAi,
        line: "support".into(),
        trunk: "carrier-a".into(),
        from: None,
        to: "+493012345".into(),
        sip_call_id: "a84b4c76e66710".into(),
        started: Time(1_795_000_000_000),
        answered: None,
        ended: None,
        direction: policy::Direction::Inbound,
        campaign: None,
        cause: None,
        failure: None,
        transfer: None,
    }
}

fn supervisor(to: &str, mode: calls::SuperviseMode, state: SupervisorState) -> calls::SupervisorSummary {
    let since = Time(1_795_000_000_000);
    calls::SupervisorSummary { supervisor: "supervisor-1".into(), to: to.to_owned(), mode, state, since }
}

fn transfer_reply(id: TransferId, state: TransferState) -> TransferReply {
    TransferReply::from(TransferRecord {
        id,
        call: LIVE.parse().unwrap(),
        source: Source::Command,
        to: "frontdesk".into(),
        mode: policy::Mode::Warm,
        state,
        started: Time(1_795_000_000_000),
        waiting: None,
        bridged: None,
        ended: None,
        cause: None,
        sip_code: None,
        attempts: Vec::new(),
        candidates: Vec::new(),
        handoff_silence_ms: None,
    })
}

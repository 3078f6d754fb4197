//! How long a human who has taken the call goes unheard: from their 200 OK, or their key, to their next packet at the caller.

use super::figure;
use anyhow::{Context, Result, ensure};
use parties::{
    io::{Call, ControlClient, Keep, Party, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tests::{Daemon, Files, own_address, standard};

/// Handoffs of a figure, one after the other.
const TIMES: usize = 200;
/// Handoffs that begin in the same second.
const AT_ONCE: usize = 100;
const FRAME: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// Cold and warm handoffs one after the other, then a hundred at once.
pub(super) async fn figures() -> Result<Vec<Value>> {
    println!("measuring handoffs ...");
    let stage = Stage::new().await?;
    let mut all = Vec::new();
    for (name, to, note) in [
        (
            "cold_answer_to_heard_ms_p99",
            "frontdesk",
            "from the human's 200 OK to their next packet at the caller, cold",
        ),
        (
            "warm_accept_to_heard_ms_p99",
            "closer",
            "from the end of the human's key to their next packet at the caller, warm",
        ),
    ] {
        let mut taken = Vec::with_capacity(TIMES);
        for number in 0..TIMES {
            let call = stage.talk(number).await?;
            taken.push(stage.handoff(&call, to).await?);
            call.0.hang_up();
        }
        let note = format!("{note}; p99 of {TIMES}, packets every 20 ms; goal 25 or less");
        all.push(figure(name, p99(name, taken), "ms", &note));
    }
    let mut calls = Vec::new();
    for number in 0..AT_ONCE {
        calls.push(stage.talk(number).await?);
    }
    let taken = futures_util::future::try_join_all(calls.iter().map(|call| stage.handoff(call, "frontdesk"))).await?;
    let note = format!("the same for {AT_ONCE} cold handoffs that begin at once; no goal");
    all.push(figure("cold_answer_to_heard_ms_p99_of_100_at_once", p99("at once", taken), "ms", &note));
    Ok(all)
}

fn p99(name: &str, mut taken: Vec<Duration>) -> f64 {
    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)].as_secs_f64() * 1000.0;
    println!("  {name}: median {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(50), at(99), at(100));
    at(99)
}

struct Stage {
    daemon: Daemon,
    control: ControlClient,
    caller: Party,
    ai: Party,
    desk: Desk,
}

impl Stage {
    async fn new() -> Result<Self> {
        let light = |hertz| Voice { keep: Keep::Count, ..Voice::of(Signal::Tone(hertz)) };
        let caller = Party::bind("caller", own_address().into(), Voice::of(Signal::Tone(300.0))).await?;
        let ai = Party::bind("agent", own_address().into(), light(400.0)).await?;
        let desk = Desk::open(own_address())?;
        let Files { configuration, rules } = standard(ai.address(), desk.address);
        let daemon = Daemon::start(&Files { configuration, rules }).await?;
        let control = ControlClient::new(daemon.control());
        Ok(Self { daemon, control, caller, ai, desk })
    }

    /// A caller who talks to the AI, and the call's id.
    async fn talk(&self, number: usize) -> Result<(Call, String)> {
        let call = self.caller.call(&format!("+49305550{number:04}"), "support", self.daemon.sip()).await?;
        let ai = self.ai.incoming(LONG).await.context("the AI is not called")?;
        ai.answer();
        let id = ai.header("X-Tandem-Call-Id").context("the AI is told the call's id")?.to_owned();
        call.answered(LONG).await?;
        // It ends with the handoff, or with the caller; nobody waits for it.
        tokio::spawn(async move { ai.ended(Duration::from_secs(600)).await });
        Ok((call, id))
    }

    /// Hands the call over; how long the human went unheard.
    async fn handoff(&self, (call, id): &(Call, String), to: &str) -> Result<Duration> {
        let mode = if to == "closer" { "warm" } else { "cold" };
        let order = json!({ "to": to, "mode": mode, "start": "now" });
        let answer = self.control.post(&format!("/v1/calls/{id}/transfer"), &order).await?;
        ensure!(answer.status == 202, "the transfer was answered {}: {}", answer.status, answer.body);
        let (from, mut heard) = (now(), None);
        let came = call.audio().hears_that(LONG, |packets| {
            heard = packets.iter().filter(|it| it.at >= from).find_map(|it| Some((it.at, pattern_of(&it.payload)?)));
            heard.is_some()
        });
        ensure!(came.await, "the human of {id} is never heard");
        let (at, human) = heard.context("a packet")?;
        let taken = self.desk.taken(human).context("a human who has taken the call")?;
        Ok(at.saturating_sub(taken))
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Every human sends packets of one octet, which G.711 passes on as it is, and no tone or music is made of.
fn pattern_of(payload: &[u8]) -> Option<u8> {
    let first = *payload.first()?;
    (payload.len() == 160 && payload.iter().all(|octet| *octet == first) && (0x01..=0x60).contains(&first))
        .then_some(first)
}

/// The phones of all humans: each INVITE is answered at once, and its audio flows from then on.
struct Desk {
    address: SocketAddr,
    /// When the human of a pattern took their call.
    taken: Arc<Mutex<[Option<Duration>; 256]>>,
    over: Arc<AtomicBool>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Desk {
    fn open(ip: Ipv4Addr) -> Result<Self> {
        let socket = UdpSocket::bind((ip, 5060))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let desk = Self {
            address: socket.local_addr()?,
            taken: Arc::new(Mutex::new([None; 256])),
            over: Arc::new(AtomicBool::new(false)),
        };
        let (taken, over) = (Arc::clone(&desk.taken), Arc::clone(&desk.over));
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            let mut next = 0u8;
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.starts_with("INVITE ") {
                    next = next % 0x60 + 1;
                    if let Err(error) = answer(&socket, &text, from, next, &taken, &over, &runtime) {
                        println!("a human could not answer: {error:#}");
                    }
                } else if text.starts_with("BYE ") || text.starts_with("CANCEL ") {
                    let _ = socket.send_to(response(&text, "200 OK", "", "").as_bytes(), from);
                }
            }
        });
        Ok(desk)
    }

    fn taken(&self, human: u8) -> Option<Duration> {
        self.taken.lock().ok()?[usize::from(human)]
    }
}

/// Answers, sends audio, and where acceptance is asked for presses 1 after half a second.
fn answer(
    socket: &UdpSocket,
    invite: &str,
    to: SocketAddr,
    human: u8,
    taken: &Arc<Mutex<[Option<Duration>; 256]>>,
    over: &Arc<AtomicBool>,
    runtime: &tokio::runtime::Handle,
) -> Result<()> {
    let value = |prefix: &str| invite.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let ip: Ipv4Addr = value("c=IN IP4 ").context("an address in the offer")?.parse()?;
    let port: u16 = value("m=audio ").and_then(|it| it.split(' ').next()).context("a port")?.parse()?;
    let events: Option<u8> = invite.lines().find_map(|line| {
        let (payload_type, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        name.starts_with("telephone-event/8000").then(|| payload_type.parse().ok())?
    });
    let accepts = invite.contains("sip:closer@");
    let rtp = UdpSocket::bind((socket.local_addr()?.ip(), 0))?;
    let law = invite.lines().find_map(|line| line.strip_prefix("m=audio ")).and_then(|line| line.split(' ').nth(2));
    let law: u8 = law.context("a codec")?.parse()?;
    ensure!(law == 0 || law == 8, "{law} is no G.711");
    let events = events.context("telephone-event is offered")?;
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP {law} {events}\r\na=rtpmap:{events} telephone-event/8000\r\n",
        rtp.local_addr()?.ip(),
        rtp.local_addr()?.port(),
    );
    let contact = format!("Contact: <sip:human@{}>\r\n", socket.local_addr()?);
    let bytes = response(invite, "200 OK", &contact, &sdp);
    let sent = now();
    socket.send_to(bytes.as_bytes(), to)?;
    if !accepts {
        taken.lock().map_err(|_| anyhow::anyhow!("poisoned"))?[usize::from(human)] = Some(sent);
    }
    let (taken, over) = (Arc::clone(taken), Arc::clone(over));
    runtime.spawn(async move {
        let target = SocketAddr::from((ip, port));
        let mut ticks = tokio::time::interval(FRAME);
        let mut sequence = 0u16;
        let mut send = |payload_type: u8, timestamp: u32, payload: &[u8]| {
            let _ = rtp.send_to(&rtp_packet(payload_type, sequence, timestamp, payload), target);
            sequence += 1;
        };
        // Until the caller has certainly heard it: three seconds are more than acceptance takes.
        for number in 0u16..150 {
            ticks.tick().await;
            if over.load(Ordering::Relaxed) {
                return;
            }
            send(law, u32::from(number) * 160, &[human; 160]);
            if accepts && (25..30).contains(&number) {
                // One event of five packets (RFC 4733 section 2.5); it is known to be a key of its own by the last.
                let end = if number == 29 { 0x80 } else { 0 };
                let [high, low] = ((number - 24) * 160).to_be_bytes();
                if number == 29
                    && let Ok(mut taken) = taken.lock()
                {
                    taken[usize::from(human)] = Some(now());
                }
                send(events, 25 * 160, &[1, end | 10, high, low]);
            }
        }
    });
    Ok(())
}

fn rtp_packet(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&0x00be_0c4a_u32.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn response(request: &str, status: &str, more: &str, body: &str) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for name in ["via:", "from:", "to:", "call-id:", "cseq:", "record-route:"] {
        for line in request.lines().filter(|line| line.to_ascii_lowercase().starts_with(name)) {
            answer += line.trim_end();
            answer += if name == "to:" && !line.contains("tag=") { ";tag=human\r\n" } else { "\r\n" };
        }
    }
    answer += more;
    if !body.is_empty() {
        answer += "Content-Type: application/sdp\r\n";
    }
    answer + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

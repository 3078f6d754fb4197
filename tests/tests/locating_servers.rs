//! A trunk that is a domain: its servers come from the DNS, a dead one is passed over, and a dead DNS is survived.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{Stage, own_address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_passed_over_and_a_dead_dns_is_survived() -> Result<()> {
    // The first server is a socket that nobody reads.
    let dead = UdpSocket::bind((own_address(), 0))?;
    let SocketAddr::V4(dead_at) = dead.local_addr()? else { anyhow::bail!("bound to IPv4") };
    let dns = Dns::start()?;
    let server = dns.address;
    let stage = Stage::with(|mut files| {
        files.configuration = files.configuration.replace(
            "sip:\n",
            &format!(
                "sip:\n  timers: {{ next_target: 500ms }}\n  dns: {{ servers: [\"{server}\"], timeout: 1s, ttl_min: 1s }}\n"
            ),
        );
        files.configuration = with_address(&files.configuration, "carrier.test");
        files.rules = files.rules.replace("ring_timeout: 2s", "ring_timeout: 15s").replace(
            "destinations:\n",
            "destinations:\n  outside:      { dial: \"tel:+15550199\", trunk: carrier }\n",
        );
        files
    })
    .await?;
    let SocketAddr::V4(live_at) = stage.human.address() else { anyhow::bail!("bound to IPv4") };
    dns.srv("_sip._udp.carrier.test", &[(1, "dead.test", dead_at.port()), (2, "live.test", live_at.port())]);
    dns.a("dead.test", *dead_at.ip());
    dns.a("live.test", *live_at.ip());

    reaches_a_human(&stage).await.context("with the DNS alive")?;
    ensure!(received(&dead, dead_at)? > 0, "the first server comes first");
    ensure!(dns.asked("_sip._udp.carrier.test") > 0, "the daemon asks the configured server");

    dns.die();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = dns.asked("_sip._udp.carrier.test");
    reaches_a_human(&stage).await.context("with the DNS dead")?;
    ensure!(dns.asked("_sip._udp.carrier.test") > before, "the answer was too old to be used without asking");
    ensure!(stage.daemon.log().contains("last good one is used"), "the log says so");
    stage.daemon.stop().await?;
    Ok(())
}

/// A call is handed to the trunk, and whoever is behind its second server answers.
async fn reaches_a_human(stage: &Stage) -> Result<()> {
    let mut talk = stage.connect().await?;
    stage.transfer(&talk.id, json!({ "to": "outside" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("transfer.bridged").await?;
    talk.caller.hang_up();
    Ok(())
}

/// The trunk's address is the line below its name.
fn with_address(configuration: &str, address: &str) -> String {
    let lines = configuration.lines().map(|line| match line.strip_prefix("    address: ") {
        Some(_) => format!("    address: {address}\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// How many datagrams wait at a socket.
fn received(socket: &UdpSocket, at: SocketAddrV4) -> Result<usize> {
    ensure!(socket.local_addr()? == SocketAddr::V4(at));
    socket.set_nonblocking(true)?;
    let mut buffer = [0; 2_048];
    Ok(std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count())
}

/// A DNS server on loopback, as much of RFC 1035 as it takes. What it does not know does not exist.
struct Dns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    /// The data of records by name and type.
    records: HashMap<(String, u16), Vec<Vec<u8>>>,
    asked: Vec<String>,
    dead: bool,
}

const A: u16 = 1;
const SRV: u16 = 33;

impl Dns {
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind((own_address(), 0))?;
        let address = socket.local_addr()?;
        let zone = Arc::new(Mutex::new(Zone::default()));
        let shared = Arc::clone(&zone);
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let reply = shared.lock().expect("no panic").reply(&buffer[..length]);
                if let Some(reply) = reply {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Ok(Self { address, zone })
    }

    fn a(&self, name: &str, address: Ipv4Addr) {
        self.say(name, A, vec![address.octets().to_vec()]);
    }

    fn srv(&self, name: &str, records: &[(u16, &str, u16)]) {
        let data = records.iter().map(|(priority, target, port)| {
            let numbers = [*priority, 1, *port].into_iter().flat_map(u16::to_be_bytes);
            let labels = target.split('.').flat_map(|label| [&[byte(label.len())], label.as_bytes()].concat());
            numbers.chain(labels).chain([0]).collect()
        });
        self.say(name, SRV, data.collect());
    }

    fn say(&self, name: &str, kind: u16, data: Vec<Vec<u8>>) {
        self.zone.lock().expect("no panic").records.insert((name.to_owned(), kind), data);
    }

    fn die(&self) {
        self.zone.lock().expect("no panic").dead = true;
    }

    fn asked(&self, name: &str) -> usize {
        self.zone.lock().expect("no panic").asked.iter().filter(|asked| *asked == name).count()
    }
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).expect("short")
}

impl Zone {
    fn reply(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let (mut at, mut labels) = (12, Vec::new());
        while query.get(at).copied()? != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_lowercase());
            at = end;
        }
        let name = labels.join(".");
        let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
        self.asked.push(name.clone());
        if self.dead {
            return None;
        }
        let exists = self.records.keys().any(|(known, _)| *known == name);
        let records = self.records.get(&(name, kind)).cloned().unwrap_or_default();
        // A response, recursion available; NXDOMAIN for a name without any record.
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, if exists { 0x80 } else { 0x83 }, 0, 1, 0, byte(records.len()), 0, 0, 0, 0]);
        reply.extend(&query[12..at + 5]);
        for data in records {
            // The name is that of the question; class IN, a TTL of nothing.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 0, 0, byte(data.len())]);
            reply.extend(data);
        }
        Some(reply)
    }
}

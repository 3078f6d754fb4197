//! Fault row 25 against a scripted DNS server on loopback: what comes back, and how soon.

use super::*;
use hickory_resolver::proto::{
    op::{Message, MessageType},
    rr::{
        Record,
        rdata::{A, CNAME, NAPTR, SRV},
    },
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

#[tokio::test]
async fn fault_25_each_answer_of_the_dns_is_told_apart() {
    let server = Server::start().await;
    let mut upstream = server.upstream();
    let naptr = Naptr {
        order: 10,
        preference: 20,
        flags: "S".into(),
        service: "SIP+D2U".into(),
        replacement: "_sip._udp.carrier.test.".into(),
    };
    let srv = |target: &str| Srv { priority: 1, weight: 2, port: 5070, target: target.into() };
    let one: IpAddr = [192, 0, 2, 1].into();
    for (name, kind, expected, ttl) in [
        ("carrier.test", Kind::Naptr, Answer::Naptr(vec![naptr]), 300),
        ("_sip._udp.carrier.test", Kind::Srv, Answer::Srv(vec![srv("sbc.carrier.test.")]), 300),
        ("_sip._udp.none.test", Kind::Srv, Answer::Srv(vec![srv(".")]), 300),
        ("sbc.carrier.test", Kind::A, Answer::Addresses(vec![one]), 300),
        ("sbc.carrier.test", Kind::Aaaa, Answer::Nothing, 0),
        ("alias.test", Kind::A, Answer::Addresses(vec![one]), 300),
        ("short.test", Kind::A, Answer::Addresses(vec![one]), 0),
        ("absent.test", Kind::A, Answer::Nothing, 0),
        ("broken.test", Kind::A, Answer::Failed, 0),
    ] {
        let (_, answer, told) = upstream.look_up(question(name, kind)).await;
        assert_eq!((answer, told), (expected, Duration::from_secs(ttl)), "{name} {kind:?}");
    }
    let (_, answer, _) = upstream.look_up(question("many.test", Kind::A)).await;
    let Answer::Addresses(addresses) = answer else { panic!("{answer:?}") };
    assert_eq!(addresses.len(), MOST_RECORDS, "of 150, which no datagram holds: TCP was asked");
    let asked = server.asked.lock().expect("not poisoned").clone();
    assert_eq!(asked.iter().filter(|name| *name == "many.test.").count(), 2, "by UDP, then by TCP");
}

#[tokio::test]
async fn fault_25_a_loop_of_aliases_and_a_silent_server_end_in_no_answer_within_bounds() {
    let server = Server::start().await;
    let mut upstream = server.upstream();
    let began = Instant::now();
    let (_, answer, _) = upstream.look_up(question("loop.test", Kind::A)).await;
    assert!(!answer.has_records(), "{answer:?}");
    let (_, answer, _) = upstream.look_up(question("silent.test", Kind::A)).await;
    assert_eq!(answer, Answer::Failed);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(server.asked.lock().expect("not poisoned").len() < 40, "no storm of questions");
}

#[tokio::test]
async fn fault_25_a_silent_name_does_not_keep_another_waiting() {
    let server = Server::start().await;
    let mut upstream = server.upstream();
    let silent: Vec<_> = (0..AT_ONCE / 2)
        .map(|at| tokio::spawn(upstream.look_up(question(&format!("s{at}.silent.test"), Kind::A))))
        .collect();
    let began = Instant::now();
    let (_, answer, _) = upstream.look_up(question("sbc.carrier.test", Kind::A)).await;
    assert!(answer.has_records());
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    drop(silent);
}

#[tokio::test]
async fn a_name_of_the_hosts_file_is_not_asked_of_the_dns() {
    let server = Server::start().await;
    let mut upstream = server.upstream();
    upstream.hosts.read_hosts_conf(&b"192.0.2.7 PBX pbx.test\n2001:db8::7 six.test\n"[..]).expect("a hosts file");
    let seven = Answer::Addresses(vec![[192, 0, 2, 7].into()]);
    for (name, kind, expected) in [
        ("pbx.test", Kind::A, seven.clone()),
        ("pbx", Kind::A, seven),
        ("pbx.test", Kind::Aaaa, Answer::Nothing),
        ("pbx.test", Kind::Naptr, Answer::Nothing),
        ("_sip._udp.pbx.test", Kind::Srv, Answer::Nothing),
        ("six.test", Kind::A, Answer::Nothing),
        ("six.test", Kind::Aaaa, Answer::Addresses(vec!["2001:db8::7".parse().expect("an address")])),
    ] {
        assert_eq!(upstream.look_up(question(name, kind)).await.1, expected, "{name} {kind:?}");
    }
    assert!(server.asked.lock().expect("not poisoned").is_empty());
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: name.into(), kind }
}

/// A DNS server on loopback whose names say what it does.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    alive: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
    }
}

impl Server {
    async fn start() -> Self {
        let (socket, listener) = both_at_one_port().await;
        let address = socket.local_addr().expect("bound");
        let (asked, alive) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let (list, living) = (Arc::clone(&asked), Arc::clone(&alive));
        tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            while living.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
                let Some((request, reply)) = answer(&buffer[..length], &list) else { continue };
                let mut bytes = reply.to_vec().expect("a message");
                if bytes.len() > usize::from(request.max_payload()) {
                    // RFC 6891, section 6.2.5: no more than the asker said it takes; the rest is for TCP.
                    bytes = reply.truncate().to_vec().expect("a message");
                }
                let _ = socket.send_to(&bytes, from).await;
            }
        });
        let (list, living) = (Arc::clone(&asked), Arc::clone(&alive));
        tokio::spawn(async move {
            while living.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                // RFC 1035, section 4.2.2: each message comes after its length in two bytes.
                while let Ok(length) = stream.read_u16().await {
                    let mut buffer = vec![0; length.into()];
                    if stream.read_exact(&mut buffer).await.is_err() {
                        break;
                    }
                    let Some((_, reply)) = answer(&buffer, &list) else { continue };
                    let bytes = reply.to_vec().expect("a message");
                    let length = u16::try_from(bytes.len()).expect("a message fits its length");
                    if stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await.is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, asked, alive }
    }

    fn upstream(&self) -> Upstream {
        Upstream::new(&config::Dns {
            servers: vec![self.address],
            timeout: Duration::from_secs(1),
            ..config::Dns::default()
        })
    }
}

/// One port of loopback that is free for datagrams and for connections.
async fn both_at_one_port() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        if let Ok(listener) = TcpListener::bind(socket.local_addr().expect("bound")).await {
            return (socket, listener);
        }
    }
    panic!("no port is free for both");
}

/// A request and its reply, if it is one and gets one.
fn answer(bytes: &[u8], asked: &Mutex<Vec<String>>) -> Option<(Message, Message)> {
    let request = Message::from_vec(bytes).ok()?;
    let query = request.queries[0].clone();
    let name = query.name().to_ascii().to_lowercase();
    asked.lock().expect("not poisoned").push(name.clone());
    let reply = reply(&request, name.trim_end_matches('.'), query.query_type())?;
    Some((request, reply))
}

fn reply(request: &Message, name: &str, kind: RecordType) -> Option<Message> {
    let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    reply.add_query(request.queries[0].clone());
    let own = request.queries[0].name().clone();
    let root = |text: &str| Name::from_ascii(text).expect("a name");
    let ip = |last: u8| RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
    let mut say = |name: &Name, ttl: u32, data: RData| {
        reply.add_answer(Record::from_rdata(name.clone(), ttl, data));
    };
    match (name, kind) {
        (name, _) if name.ends_with("silent.test") => return None,
        ("carrier.test", RecordType::NAPTR) => {
            let of = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
            let target = root("_sip._udp.carrier.test.");
            say(&own, 300, RData::NAPTR(NAPTR::new(10, 20, of("S"), of("SIP+D2U"), of(""), target)));
        }
        ("_sip._udp.carrier.test", RecordType::SRV) => {
            say(&own, 300, RData::SRV(SRV::new(1, 2, 5070, root("sbc.carrier.test."))));
        }
        ("_sip._udp.none.test", RecordType::SRV) => say(&own, 300, RData::SRV(SRV::new(1, 2, 5070, Name::root()))),
        ("sbc.carrier.test", RecordType::A) => say(&own, 300, ip(1)),
        ("short.test", RecordType::A) => say(&own, 0, ip(1)),
        ("alias.test", RecordType::A) => {
            say(&own, 600, RData::CNAME(CNAME(root("sbc.carrier.test."))));
            say(&root("sbc.carrier.test."), 300, ip(1));
        }
        ("loop.test", _) => say(&own, 300, RData::CNAME(CNAME(root("pool.test.")))),
        ("pool.test", _) => say(&own, 300, RData::CNAME(CNAME(root("loop.test.")))),
        ("many.test", RecordType::A) => (0..150).for_each(|last| say(&own, 300, ip(last))),
        ("broken.test", _) => reply.metadata.response_code = ResponseCode::ServFail,
        ("absent.test", _) => reply.metadata.response_code = ResponseCode::NXDomain,
        _ => {}
    }
    Some(reply)
}

//! A service that stores objects as S3 does, as far as uploads need one, with the faults that such services have.

use crate::wire::acceptor;
use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What goes wrong with a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503 with the XML that S3 has for it.
    SlowDown,
    /// 500, after what was asked for has been done.
    DoneAndFailed,
    /// The connection is reset before an answer.
    Reset,
    /// No answer comes.
    Silence,
}

/// One bucket, `calls`, whose only user is `uploader`.
#[derive(Debug)]
pub struct Bucket {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
    server: JoinHandle<()>,
    /// What ends TLS before it.
    front: Option<(SocketAddr, JoinHandle<()>)>,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, (String, BTreeMap<usize, Vec<u8>>)>,
    faults: VecDeque<Fault>,
    then: Option<(usize, Fault)>,
    down: bool,
    /// `PUT key?query` of every request that was understood.
    asked: Vec<String>,
    refused: Vec<String>,
}

impl Bucket {
    /// On this address, on a free port.
    pub async fn open(address: Ipv4Addr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let served = Arc::clone(&shelf);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shelf = Arc::clone(&served);
                tokio::spawn(async move {
                    // A client that went away is no concern of the service.
                    let _ = serve(stream, &shelf).await;
                });
            }
        });
        Ok(Self { address, shelf, server, front: None })
    }

    /// The same behind TLS, with `NAME.pem` and `NAME.key` of the folder.
    pub async fn open_tls(address: Ipv4Addr, folder: &Path, name: &str) -> Result<Self> {
        let mut bucket = Self::open(address).await?;
        let listener = TcpListener::bind((address, 0)).await?;
        let (front, behind, acceptor) = (listener.local_addr()?, bucket.address, acceptor(folder, name)?);
        bucket.front = Some((
            front,
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let (mut outside, mut inside) =
                            (acceptor.accept(stream).await?, TcpStream::connect(behind).await?);
                        tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                    });
                }
            }),
        ));
        Ok(bucket)
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        match &self.front {
            Some((front, _)) => format!("https://{front}"),
            None => format!("http://{}", self.address),
        }
    }

    /// What happens to the next requests, one each.
    pub fn fails_with(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shelf().faults.extend(faults);
    }

    /// So many requests are answered, and then every one has this fault, until [`Bucket::works_again`].
    pub fn answers_and_then(&self, answered: usize, fault: Fault) {
        self.shelf().then = Some((answered, fault));
    }

    /// No fault is left.
    pub fn works_again(&self) {
        let mut shelf = self.shelf();
        shelf.then = None;
        shelf.faults.clear();
    }

    /// How many of those have not happened yet.
    pub fn faults_left(&self) -> usize {
        self.shelf().faults.len()
    }

    /// Every connection is closed at once, or no more.
    pub fn is_down(&self, down: bool) {
        self.shelf().down = down;
    }

    /// What is stored under a name's end.
    pub fn object(&self, end: &str) -> Option<Vec<u8>> {
        self.shelf().objects.iter().find(|(key, _)| key.ends_with(end)).map(|(_, bytes)| bytes.clone())
    }

    /// Names of everything that is stored.
    pub fn keys(&self) -> Vec<String> {
        self.shelf().objects.keys().cloned().collect()
    }

    /// What was asked for, in order: `PUT recordings/…/c_….wav?partNumber=1&uploadId=…`.
    pub fn asked(&self) -> Vec<String> {
        self.shelf().asked.clone()
    }

    /// Requests that no such service would take.
    pub fn refused(&self) -> Vec<String> {
        self.shelf().refused.clone()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.server.abort();
        self.front.iter().for_each(|(_, front)| front.abort());
    }
}

struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

async fn serve(stream: TcpStream, shelf: &Mutex<Shelf>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        if lock(shelf).down {
            return Ok(());
        }
        let Some(request) = read(&mut stream).await? else { return Ok(()) };
        let fault = lock(shelf).next_fault();
        let mut answer = match fault {
            Some(Fault::Reset) => {
                stream.get_ref().set_zero_linger()?;
                return Ok(());
            }
            Some(Fault::Silence) => {
                tokio::time::sleep(Duration::from_secs(120)).await;
                return Ok(());
            }
            Some(Fault::SlowDown) => Answer::error("503 Slow Down", "SlowDown"),
            Some(Fault::DoneAndFailed) => {
                lock(shelf).answer(&request);
                Answer::error("500 Internal Server Error", "InternalError")
            }
            None => lock(shelf).answer(&request),
        };
        let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
        if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") {
            write!(head, "Content-Length: {}\r\n", answer.body.len())?;
        }
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        head.push_str("\r\n");
        if request.method == "HEAD" {
            answer.body.clear();
        }
        stream.get_mut().write_all(&[head.as_bytes(), &answer.body].concat()).await?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        ensure!(head.len() < 64 << 10, "a head without an end");
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, _] = first[..] else { bail!("no request line: {first:?}") };
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    });
    let query = query.collect();
    Ok(Some(Request { method: method.to_owned(), key: path.to_owned(), query, headers, body }))
}

impl Shelf {
    fn next_fault(&mut self) -> Option<Fault> {
        let due = match &mut self.then {
            Some((0, fault)) => Some(*fault),
            Some((answered, _)) => {
                *answered -= 1;
                None
            }
            None => None,
        };
        self.faults.pop_front().or(due)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let Request { method, key, query, headers, body } = request;
        let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
        let sum = hex(&Sha256::digest(body));
        let Some(key) = key.strip_prefix("/calls/") else {
            self.refused.push(format!("{method} {key}: no such bucket"));
            return Answer::error("404 Not Found", "NoSuchBucket");
        };
        let signed = header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=uploader/");
        if !signed || header("x-amz-content-sha256") != sum {
            self.refused
                .push(format!("{method} {key}: signed {signed}, its sum is {}", header("x-amz-content-sha256")));
            return Answer::error("403 Forbidden", "SignatureDoesNotMatch");
        }
        let queried: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.asked.push(format!("{method} {key}?{}", queried.join("&")));
        let tag = format!("\"{}\"", &sum[..32]);
        let upload = query.get("uploadId").cloned();
        match (method.as_str(), upload, query.get("partNumber").and_then(|number| number.parse::<usize>().ok())) {
            ("POST", None, _) if query.contains_key("uploads") => {
                let id = format!("upload-{}", self.uploads.len() + 1);
                self.uploads.insert(id.clone(), (key.to_owned(), BTreeMap::new()));
                Answer::xml(&format!(
                    "<InitiateMultipartUploadResult><Bucket>calls</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("PUT", Some(id), Some(number)) => match self.uploads.get_mut(&id) {
                Some((of, parts)) if of == key => {
                    parts.insert(number, body.clone());
                    Answer { headers: vec![("ETag", tag)], ..Answer::ok() }
                }
                _ => Answer::error("404 Not Found", "NoSuchUpload"),
            },
            ("POST", Some(id), _) => match self.complete(&id, key, &String::from_utf8_lossy(body)) {
                Ok(()) => Answer::xml(&format!(
                    "<CompleteMultipartUploadResult><Bucket>calls</Bucket><Key>{key}</Key><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
                )),
                Err(error) => {
                    self.refused.push(format!("{id}: {error:#}"));
                    Answer::error("404 Not Found", "NoSuchUpload")
                }
            },
            ("DELETE", Some(id), _) => {
                self.uploads.remove(&id);
                Answer { status: "204 No Content", ..Answer::ok() }
            }
            ("DELETE", None, _) => {
                self.objects.remove(key);
                Answer { status: "204 No Content", ..Answer::ok() }
            }
            ("PUT", None, _) => {
                self.objects.insert(key.to_owned(), body.clone());
                Answer { headers: vec![("ETag", tag)], ..Answer::ok() }
            }
            ("HEAD" | "GET", ..) => self.object(key, header("range")),
            _ => Answer::error("405 Method Not Allowed", "MethodNotAllowed"),
        }
    }

    /// Every part that is listed, in order, by number and tag.
    fn complete(&mut self, id: &str, key: &str, list: &str) -> Result<()> {
        let (of, parts) = self.uploads.get(id).context("there is no such upload")?;
        ensure!(of == key, "it is of {of}");
        let between = |text: &str, tag: &str| -> Option<String> {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            Some(rest.split_once(&format!("</{tag}>"))?.0.replace("&quot;", "\""))
        };
        let mut whole = Vec::new();
        let listed: Vec<&str> = list.split("<Part>").skip(1).collect();
        ensure!(listed.len() == parts.len(), "{} of {} parts are listed", listed.len(), parts.len());
        for (at, part) in listed.into_iter().enumerate() {
            let number: usize = between(part, "PartNumber").context("no number")?.parse()?;
            ensure!(number == at + 1, "part {number} is listed at {at}");
            let bytes = parts.get(&number).with_context(|| format!("part {number} has not arrived"))?;
            let tag = between(part, "ETag").context("no tag")?;
            ensure!(tag.trim_matches('"') == &hex(&Sha256::digest(bytes))[..32], "part {number} has another tag");
            ensure!(number == parts.len() || bytes.len() >= 5 << 20, "part {number} is too small");
            whole.extend_from_slice(bytes);
        }
        self.objects.insert(key.to_owned(), whole);
        self.uploads.remove(id);
        Ok(())
    }

    fn object(&self, key: &str, range: &str) -> Answer {
        let Some(bytes) = self.objects.get(key) else { return Answer::error("404 Not Found", "NoSuchKey") };
        let about = |length: usize| {
            vec![
                ("ETag", format!("\"{}\"", &hex(&Sha256::digest(bytes))[..32])),
                ("Last-Modified", "Thu, 26 Nov 2026 10:00:00 GMT".to_owned()),
                ("Content-Length", length.to_string()),
            ]
        };
        let wanted = range.strip_prefix("bytes=").and_then(|range| {
            let (from, to) = range.split_once('-')?;
            Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
        });
        match wanted {
            Some((from, to)) if from < bytes.len() => {
                let part = bytes[from..=to.min(bytes.len() - 1)].to_vec();
                let mut headers = about(part.len());
                headers.push(("Content-Range", format!("bytes {from}-{}/{}", from + part.len() - 1, bytes.len())));
                Answer { status: "206 Partial Content", headers, body: part }
            }
            _ => Answer { headers: about(bytes.len()), body: bytes.clone(), ..Answer::ok() },
        }
    }
}

impl Answer {
    fn ok() -> Self {
        Self { status: "200 OK", headers: Vec::new(), body: Vec::new() }
    }

    fn xml(text: &str) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}").into_bytes();
        Self { headers: vec![("Content-Type", "application/xml".to_owned())], body, ..Self::ok() }
    }

    fn error(status: &'static str, code: &str) -> Self {
        Self { status, ..Self::xml(&format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>")) }
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

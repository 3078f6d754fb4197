//! Where recordings are uploaded to: a bucket of an S3-compatible service, or a folder (of a file server, say).
//!
//! A file up to [`PART`] goes in one request, a larger one in parts of that size, one after the other; which parts have arrived is
//! written down beside the recording, so that an upload goes on after a restart where it was.

use crate::config::{Upload, UploadTo};
use object_store::{
    Certificate, ClientOptions, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
    multipart::{MultipartStore as _, PartId},
    path::Path as Key,
};
// Nothing is called of it: it is here for the feature that gives the client TLS by rustls.
use reqwest as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path, time::Duration};

/// Bytes of a part, and of the largest file that goes in one: in memory once for each upload that is under way. S3 takes 10,000 parts.
const PART: u64 = 8 << 20;
const CONNECT: Duration = Duration::from_secs(10);

/// An upload in parts that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    /// Of which file.
    name: String,
    /// Its length.
    bytes: u64,
    /// What the service calls the upload.
    upload: String,
    /// What it calls the parts that have arrived.
    arrived: Vec<String>,
}

/// What has arrived of one file, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Where recordings are uploaded to.
pub(super) enum Target {
    Bucket { store: Box<AmazonS3>, prefix: Key, check_content: bool },
    Folder(std::path::PathBuf),
}

impl Target {
    /// Nothing is opened yet.
    pub(super) fn new(settings: &Upload) -> Result<Self, object_store::Error> {
        let (bucket, prefix) = match &settings.to {
            UploadTo::Folder(folder) => return Ok(Self::Folder(folder.clone())),
            UploadTo::Bucket { bucket, prefix } => (bucket, prefix),
        };
        // Refused where there is one already: then it is this one, as the whole daemon's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = ClientOptions::new()
            .with_timeout(settings.timeout)
            .with_connect_timeout(CONNECT.min(settings.timeout))
            .with_default_content_type("application/octet-stream")
            .with_content_type_for_suffix("wav", "audio/wav")
            .with_content_type_for_suffix("opus", "audio/ogg")
            .with_content_type_for_suffix("json", "application/json")
            .with_content_type_for_suffix("age", "application/vnd.age");
        let mut builder = match &settings.credentials {
            // AWS_ACCESS_KEY_ID and its kin, else the machine's own role.
            None => AmazonS3Builder::from_env(),
            Some((id, secret)) => AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose()),
        };
        if let Some(endpoint) = &settings.endpoint {
            client = client.with_allow_http(endpoint.starts_with("http://"));
            builder = builder.with_endpoint(endpoint);
        }
        for authority in settings.ca.iter().map(|pem| Certificate::from_pem_bundle(pem)) {
            for certificate in authority? {
                client = client.with_root_certificate(certificate);
            }
        }
        // When something is tried again is decided by the queue alone.
        let retry = RetryConfig { max_retries: 0, retry_timeout: settings.timeout, ..RetryConfig::default() };
        let store = builder
            .with_bucket_name(bucket)
            .with_region(&settings.region)
            .with_client_options(client)
            .with_retry(retry)
            .build()?;
        Ok(Self::Bucket {
            store: Box::new(store),
            prefix: Key::from(prefix.as_str()),
            check_content: settings.check_content,
        })
    }

    /// Uploads a file to `DAY/NAME`, and makes sure that it is there, whole. `parts` says what arrived earlier, and `keep` is told of
    /// what arrives.
    pub(super) async fn put(
        &self,
        day: &str,
        file: &Path,
        parts: &mut Option<Parts>,
        keep: &(impl Fn(&Option<Parts>) -> io::Result<()> + Sync),
    ) -> Result<Object, PutError> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (opened, bytes, sha256) = opened(file.to_owned()).await?;
        let key = self.key(day, &name);
        match self {
            Self::Bucket { store, check_content, .. } => {
                if bytes <= PART {
                    store.put(&key, piece(&opened, 0, bytes).await?).await?;
                } else {
                    let resumed = parts.take().filter(|parts| parts.name == name && parts.bytes == bytes);
                    *parts = Some(match resumed {
                        Some(resumed) => resumed,
                        None => {
                            let upload = store.create_multipart(&key).await?;
                            Parts { name: name.clone(), bytes, upload, arrived: Vec::new() }
                        }
                    });
                    match put_parts(store, &key, &opened, parts, keep).await {
                        // What the service has forgotten begins anew.
                        Err(error) if error.is_unknown_upload() => {
                            *parts = None;
                            keep(parts)?;
                            return Err(error);
                        }
                        done => done?,
                    }
                    *parts = None;
                    keep(parts)?;
                }
                check(store.as_ref(), &key, bytes, check_content.then_some(&sha256)).await?;
            }
            Self::Folder(_) => {
                let store = self.folder()?;
                let mut upload = store.put_multipart(&key).await?;
                let mut at = 0;
                let written = async {
                    while at < bytes || at == 0 {
                        let length = PART.min(bytes - at);
                        upload.put_part(piece(&opened, at, length).await?).await?;
                        at += length.max(1);
                    }
                    upload.complete().await?;
                    Ok::<_, PutError>(())
                };
                if let Err(error) = written.await {
                    let _ = upload.abort().await;
                    return Err(error);
                }
                check(&store, &key, bytes, Some(&sha256)).await?;
            }
        }
        Ok(Object { name, bytes, sha256 })
    }

    /// Takes back what was uploaded of a recording that was deleted meanwhile.
    pub(super) async fn take_back(&self, day: &str, names: &[String], parts: Option<&Parts>) {
        for name in names {
            let key = self.key(day, name);
            let done = match (self, self.folder()) {
                (Self::Bucket { store, .. }, _) => store.delete(&key).await,
                (Self::Folder(_), Ok(store)) => store.delete(&key).await,
                (Self::Folder(_), Err(error)) => Err(error),
            };
            if let Err(error) = done {
                tracing::warn!(%error, %key, "a recording was deleted while it was uploaded, and its copy cannot be taken back");
            }
        }
        if let (Self::Bucket { store, .. }, Some(parts)) = (self, parts) {
            let _ = store.abort_multipart(&self.key(day, &parts.name), &parts.upload).await;
        }
    }

    fn key(&self, day: &str, name: &str) -> Key {
        let base = match self {
            Self::Bucket { prefix, .. } => prefix.clone(),
            Self::Folder(_) => Key::default(),
        };
        base.join(day).join(name)
    }

    /// It is not made where it is missing: that is what a file server looks like that is not mounted.
    fn folder(&self) -> Result<LocalFileSystem, object_store::Error> {
        match self {
            Self::Folder(folder) => Ok(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)),
            Self::Bucket { .. } => Ok(LocalFileSystem::new()),
        }
    }
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    /// The service, or the way to it.
    #[error("{0}")]
    Store(#[from] object_store::Error),
    /// The file itself.
    #[error("the recording cannot be read: {0}")]
    File(#[from] io::Error),
    /// It arrived otherwise than it was sent.
    #[error("{0} is there with {1}, and should have {2}")]
    Differs(String, String, String),
}

impl PutError {
    fn is_unknown_upload(&self) -> bool {
        matches!(self, Self::Store(object_store::Error::NotFound { .. }))
    }
}

async fn put_parts(
    store: &AmazonS3,
    key: &Key,
    file: &std::sync::Arc<File>,
    parts: &mut Option<Parts>,
    keep: &(impl Fn(&Option<Parts>) -> io::Result<()> + Sync),
) -> Result<(), PutError> {
    loop {
        let Some(known) = parts.as_ref() else { return Ok(()) };
        let (bytes, index, upload) = (known.bytes, known.arrived.len(), known.upload.clone());
        let at = index as u64 * PART;
        if at >= bytes {
            let arrived = known.arrived.iter().map(|part| PartId { content_id: part.clone() }).collect();
            store.complete_multipart(key, &upload, arrived).await?;
            return Ok(());
        }
        let piece = piece(file, at, PART.min(bytes - at)).await?;
        let arrived = store.put_part(key, &upload, index, piece).await?;
        if let Some(parts) = parts {
            parts.arrived.push(arrived.content_id);
        }
        keep(parts)?;
    }
}

/// What is there is as long as what was sent, and, where that is wanted, the same. (What a bucket takes was signed with its SHA-256, so that
/// nothing else can have arrived.)
async fn check(store: &impl ObjectStore, key: &Key, bytes: u64, sha256: Option<&String>) -> Result<(), PutError> {
    let there = store.head(key).await?;
    if there.size != bytes {
        let (there, wanted) = (format!("{} bytes", there.size), format!("{bytes}"));
        return Err(PutError::Differs(key.to_string(), there, wanted));
    }
    let Some(wanted) = sha256 else { return Ok(()) };
    let mut sum = Sha256::new();
    let mut at = 0;
    while at < bytes {
        let piece = store.get_range(key, at..(at + PART).min(bytes)).await?;
        if piece.is_empty() {
            break;
        }
        sum.update(&piece);
        at += piece.len() as u64;
    }
    let there = hex(&sum.finalize());
    match there == *wanted {
        true => Ok(()),
        false => Err(PutError::Differs(key.to_string(), format!("SHA-256 {there}"), wanted.clone())),
    }
}

/// A file, its length and its SHA-256.
async fn opened(path: std::path::PathBuf) -> io::Result<(std::sync::Arc<File>, u64, String)> {
    let read = move || {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut sum = Sha256::new();
        io::copy(&mut &file, &mut Summing(&mut sum))?;
        Ok((std::sync::Arc::new(file), bytes, hex(&sum.finalize())))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

struct Summing<'a>(&'a mut Sha256);

impl io::Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn piece(file: &std::sync::Arc<File>, at: u64, length: u64) -> io::Result<PutPayload> {
    let file = std::sync::Arc::clone(file);
    let read = move || {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes.into())
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Section `recording.upload`.

use super::{
    people,
    reader::{Section, Wrong},
    sections::Places,
    values,
};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

/// Where recordings and messages are uploaded to, and how.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where.
    pub to: UploadTo,
    /// The same, as it is shown: without a slash at its end.
    pub shown: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The service; none: Amazon's own, in that region.
    pub endpoint: Option<String>,
    /// Certificates, as PEM, of authorities that the service's may come from beside the system's.
    pub ca: Option<Vec<u8>>,
    /// The access key's id and secret; none: from the environment.
    pub credentials: Option<(String, Secret)>,
    /// How long a local copy is kept after its upload; none: as long as `recording.retention` says.
    pub keep_local: Option<Duration>,
    /// How many recordings are uploaded at once.
    pub at_once: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// The oldest that waits may be so old before that is reported.
    pub overdue: Duration,
    /// What has arrived is read back and compared.
    pub check_content: bool,
}

/// A place of that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadTo {
    /// A bucket of an S3-compatible service.
    Bucket {
        /// Its name.
        bucket: String,
        /// What names of objects begin with.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

/// What is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// For whoever signs with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

pub(super) fn upload(mut section: Section<'_>, places: &Places) -> Option<Upload> {
    if !section.is_present() {
        return None;
    }
    let to = section.required("to", destination);
    let region = section.or("region", "us-east-1".to_owned(), values::name);
    let endpoint = section.optional("endpoint", endpoint);
    let ca = section.optional("ca", |text| authorities(&people::file_path(text, places)));
    let id = section.optional("access_key_id", values::text);
    let named = id.is_some() || section.has("secret_access_key") || section.has("secret_access_key_file");
    let secret = if named {
        people::secret(&mut section, places, "secret_access_key", "secret_access_key_file")
    } else {
        let _ = section.optional("secret_access_key", values::text);
        let _ = section.optional("secret_access_key_file", values::text);
        None
    };
    if named && id.is_none() {
        section.wrong(None, "a secret access key is of no use without its `access_key_id`", None);
    }
    let keep_local = section.optional("keep_local", keep_local);
    let at_once = section.number("at_once", 4, 1..=16);
    let timeout = section.duration("timeout", SECOND * 60, SECOND..=SECOND * 600);
    let overdue = section.duration("overdue", SECOND * 3_600, SECOND..=SECOND * 3_600 * 24 * 7);
    let check_content = section.word("check", false, &[("length", false), ("content", true)]);
    if let Some(to) = &to
        && matches!(to.value.0, UploadTo::Folder(_))
        && (endpoint.is_some() || ca.is_some() || named)
    {
        section.wrong(
            to.place,
            "a folder has no endpoint, no authorities and no keys",
            Some("`s3://BUCKET/PREFIX` has"),
        );
    }
    section.done();
    let (to, shown) = to?.value;
    Some(Upload {
        to,
        shown,
        region,
        endpoint: endpoint.map(|placed| placed.value),
        ca: ca.map(|placed| placed.value),
        credentials: id.map(|id| id.value).zip(secret.map(Secret)),
        keep_local: keep_local.and_then(|placed| placed.value),
        at_once: usize::try_from(at_once).unwrap_or(1),
        timeout,
        overdue,
        check_content,
    })
}

/// `s3://bucket/prefix` or `file:///folder`.
fn destination(text: &str) -> Result<(UploadTo, String), Wrong> {
    let shown = text.trim_end_matches('/').to_owned();
    if let Some(folder) = text.strip_prefix("file://") {
        if !folder.starts_with('/') || folder.contains("/../") || folder.ends_with("/..") {
            return Err(Wrong::new(format!("`{text}` is no folder from the top")).help("like `file:///mnt/archive`"));
        }
        return Ok((UploadTo::Folder(folder.into()), shown));
    }
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err(Wrong::new(format!("`{text}` is no place to upload to"))
            .help("`s3://BUCKET/PREFIX` for an S3-compatible service (with `endpoint`, where it is not Amazon's), or `file:///FOLDER`"));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(good) {
        return Err(Wrong::new(format!("`{bucket}` is no name of a bucket"))
            .help("3 to 63 lower-case letters, digits, `-` and `.`: `s3://BUCKET/PREFIX`"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '=');
    let prefix = prefix.trim_end_matches('/');
    if prefix.len() > 256 || !prefix.chars().all(plain) || prefix.split('/').any(|part| part == "." || part == "..") {
        return Err(Wrong::new(format!("`{prefix}` cannot stand before names of objects"))
            .help("letters, digits, `-`, `_`, `.`, `=` and `/`, at most 256"));
    }
    Ok((UploadTo::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() }, shown))
}

/// A file of certificates.
fn authorities(path: &Path) -> Result<Vec<u8>, Wrong> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|error| Wrong::new(format!("{shown} cannot be read: {error}")))?;
    match object_store::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(pem),
        Ok(_) => {
            Err(Wrong::new(format!("{shown} holds no certificate")).help("a PEM file: `-----BEGIN CERTIFICATE-----` …"))
        }
        Err(error) => Err(Wrong::new(format!("{shown}: {error}")).help("a PEM file: `-----BEGIN CERTIFICATE-----` …")),
    }
}

/// `https://s3.example.net`.
fn endpoint(text: &str) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` is no endpoint")).help("like `https://s3.example.net` or `http://192.0.2.9:9000`")
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(wrong)?;
    let host = host.trim_end_matches('/');
    if host.contains('@') {
        // What is before an `@` may be a password, and is not repeated.
        return Err(Wrong::new("an endpoint holds no user")
            .help("`access_key_id` and `secret_access_key_file` say who uploads"));
    }
    values::host(host, 443).map_err(|_| wrong())?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// `always`, or a duration.
fn keep_local(text: &str) -> Result<Option<Duration>, Wrong> {
    if text == "always" {
        return Ok(None);
    }
    let longest = SECOND * 3_600 * 24 * 3_660;
    let wrong = || {
        Wrong::new(format!("`{text}` is neither `always` nor a duration"))
            .help("0s to 87840h, like `24h`; `0s`: not at all")
    };
    super::reader::duration(text).ok().filter(|kept| *kept <= longest).map(Some).ok_or_else(wrong)
}

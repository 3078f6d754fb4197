//! `tandem.yaml`: layers of YAML and environment, read strictly into types that cannot be wrong.
//!
//! Layers, each above the one before: the file, `conf.d/*.yaml` beside it by byte order, variables `TANDEM__SECTION__KEY`.
//! Sections are merged key by key, lists and values are replaced. All mistakes of all layers come out of one run.

mod agents;
mod availability;
mod codes;
mod keeping;
mod media;
mod outbound;
mod people;
mod problem;
mod reach;
mod reader;
mod recording;
mod redirects;
mod sections;
mod session_timer;
mod spots;
mod srtp;
mod streams;
mod tree;
mod trunks;
mod types;
mod upload;
mod values;
mod voicemail;

pub use availability::AskedElsewhere;
pub use keeping::Ledger;
pub use media::{Media, Playlist, Tracks};
pub use problem::{Place, Problem, Problems, Source, Sources, Warning};
pub use recording::{ConsentPrompt, Recording, RecordingChannels, RecordingFormat, RecordingWhen};
pub use sections::Places;
pub use session_timer::SessionTimer;
pub use spots::{Spot, Spots};
pub use streams::Streams;
pub use types::{
    Abuse, Account, AfterHuman, Agents, Answers, Auth, CallerId, Cdr, CodeAct, Codec, Configuration, Control, Dns,
    FeatureCode, FeatureCodes, Format, Forwarded, Identity, Limits, Listener, Logging, NumberFormat, Numbers, Pattern,
    Profile, Reach, RedirectHost, Refuge, Register, RequestUri, Route, Sentiment, Sip, Strangers, Trunk, TrunkLimits,
};
pub use upload::{Secret, Upload, UploadTo};
pub use values::{Host, Network};
pub use voicemail::{Mailbox, Voicemail};

pub(crate) use reader::duration;

use reader::Notes;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tree::Node;

/// Names of variables that are settings start so: `TANDEM__SIP__USER_AGENT`.
const PREFIX: &str = "TANDEM";

/// The process's environment, as far as a configuration cares.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Every variable by name.
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// The real one. Variables that are not UTF-8 are no settings of ours.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect() }
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        // systemd joins several folders by colons; ours is the first.
        self.variables.get(name).and_then(|value| value.split(':').next()).filter(|v| !v.is_empty()).map(PathBuf::from)
    }
}

/// Reads the file, its `conf.d` and the environment.
pub fn load(path: &Path, environment: &Environment) -> Result<Configuration, Problems> {
    let mut sources = Sources::default();
    let mut syntax = Vec::new();
    let mut root: Option<Node> = None;
    for file in files(path) {
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                syntax.push(Problem {
                    message: format!("cannot read `{}`: {error}", file.display()),
                    place: None,
                    warning: false,
                    help: (file == path).then(|| "name the configuration with `--config PATH`".to_owned()),
                });
                continue;
            }
        };
        let name = file.display().to_string();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                syntax.push(not_utf8(&mut sources, name, &error));
                continue;
            }
        };
        let source = Source { name, text, variable: false };
        if let Some(layer) = tree::parse(&mut sources, source, &mut syntax) {
            root = Some(match root {
                Some(below) => tree::lay(below, layer),
                None => layer,
            });
        }
    }
    for (key, value) in settings(environment, &mut syntax) {
        let name = format!("environment variable {PREFIX}__{}", key.replace('.', "__").to_uppercase());
        let steps: Vec<String> = key.split('.').map(str::to_owned).collect();
        let source = Source { name, text: value, variable: true };
        if let (Some(node), Some(below)) = (tree::parse(&mut sources, source, &mut syntax), root.take()) {
            root = Some(tree::lay(below, tree::nest(&steps, node)));
        }
    }
    let notes = Notes::default();
    let places = places(path, environment);
    syntax.extend(not_read(&path.with_file_name("conf.d")).map(|file| Problem {
        message: format!("`{}` is not read", file.display()),
        place: None,
        warning: true,
        help: Some("only names that end in `.yaml` are".to_owned()),
    }));
    let spots = root.as_ref().map(|root| Spots::of(root, &sources)).unwrap_or_default();
    let configuration = root.map(|root| sections::read(&root, &places, &notes));
    let mut list = syntax;
    list.extend(notes.into_list());
    list.sort_by_key(|problem| problem.place.map_or((0, 0, 0), |place| (place.source, place.line, place.column)));
    let (warnings, mistakes): (Vec<Problem>, Vec<Problem>) = list.into_iter().partition(|problem| problem.warning);
    match configuration {
        Some(configuration) if mistakes.is_empty() => {
            let warnings = Problems { sources, list: warnings };
            // Only what is shown is kept: the texts hold passwords.
            let shown = |(line, block)| Warning { line, block };
            Ok(Configuration {
                warnings: warnings.lines().zip(warnings.blocks()).map(shown).collect(),
                spots,
                ..configuration
            })
        }
        _ => Err(Problems { sources, list: mistakes }),
    }
}

/// The address that a SIP URI names, when it names one.
pub(crate) fn address_of(uri: &str) -> Option<std::net::SocketAddr> {
    match values::host_of_uri(uri).ok()? {
        Host::Address(address) => Some(address),
        Host::Name(..) => None,
    }
}

/// Where the control socket is when no configuration says so: the service's folder, else the user's own.
pub fn default_socket(environment: &Environment) -> PathBuf {
    runtime_folder(environment).join("control.sock")
}

fn places(path: &Path, environment: &Environment) -> Places {
    let base = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let base = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let runtime = runtime_folder(environment);
    let state = environment
        .folder("STATE_DIRECTORY")
        .unwrap_or_else(|| environment.folder("LOGS_DIRECTORY").unwrap_or_else(|| runtime.clone()));
    Places {
        base,
        recordings: state.join("recordings"),
        messages: state.join("voicemails"),
        ledger: state.join("ledger.db"),
        records: environment.folder("LOGS_DIRECTORY").unwrap_or_else(|| runtime.clone()),
        runtime,
        credentials: environment.folder("CREDENTIALS_DIRECTORY"),
    }
}

fn runtime_folder(environment: &Environment) -> PathBuf {
    let service = PathBuf::from("/run/tandem");
    if let Some(folder) = environment.folder("RUNTIME_DIRECTORY") {
        return folder;
    }
    if service.is_dir() {
        return service;
    }
    match environment.folder("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir()) {
        Some(folder) => folder.join("tandem"),
        None => PathBuf::from(format!("/tmp/tandem-{}", nix::unistd::getuid())),
    }
}

fn not_utf8(sources: &mut Sources, name: String, error: &std::string::FromUtf8Error) -> Problem {
    let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let source = Source { name, text: String::from_utf8_lossy(bytes).into_owned(), variable: false };
    let place = Place { source: sources.add(source), line: number(line), column: number(column), length: 1 };
    Problem {
        message: "this is not UTF-8 text".to_owned(),
        place: Some(place),
        warning: false,
        help: Some("save the file as UTF-8".to_owned()),
    }
}

/// Files of a folder that their owner may take for layers, and that are none.
pub(crate) fn not_read(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> = entries
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            ending != "yaml" && (ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml"))
        })
        .collect();
    found.sort_unstable();
    found.into_iter()
}

/// The file itself, then `conf.d/*.yaml` beside it by byte order.
fn files(path: &Path) -> Vec<PathBuf> {
    let folder = path.with_file_name("conf.d");
    let mut more: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    more.sort_unstable();
    more.insert(0, path.to_owned());
    more
}

/// Settings among the variables, by dotted path.
fn settings(environment: &Environment, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    use config::Source as _;
    let variables = environment.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let source =
        config::Environment::with_prefix(PREFIX).prefix_separator("__").separator("__").source(Some(variables));
    match source.collect() {
        Ok(values) => values.into_iter().map(|(key, value)| (key, value.to_string())).collect(),
        Err(error) => {
            problems.push(Problem { message: error.to_string(), place: None, warning: false, help: None });
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod slips_tests;
#[cfg(test)]
mod tests;

//! Reading the rules' files, and what the configuration tells the policy room to check them against.

use crate::config::{AfterHuman, CodeAct, Configuration, Refuge, Spot, Tracks};
use media_relay::io::EXTENSIONS;
use policy::{Diagnostic, Diagnostics, Environment, Loaded, RuleSet, Severity, SourceFile};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files larger than this are no rules.
const LARGEST: u64 = 8 << 20;

/// Reads `rules.yaml`, `rules.d/*.yaml` and the lists they name; all of it is right, or every mistake is told.
pub(crate) fn load(configuration: &Configuration) -> Result<Loaded, Diagnostics> {
    let mut unreadable = Vec::new();
    let mut files = Vec::new();
    for (at, path) in paths(&configuration.rules).into_iter().enumerate() {
        match read(&path) {
            Ok(bytes) if at == 0 => files.push(SourceFile::main(path.display().to_string(), bytes)),
            Ok(bytes) => files.push(SourceFile::extra(path.display().to_string(), bytes)),
            Err(why) => unreadable.push(whole_file(&path, why)),
        }
    }
    let folder = configuration.rules.parent().unwrap_or_else(|| Path::new("."));
    for name in RuleSet::list_files(&files) {
        match read(&folder.join(&name)) {
            Ok(bytes) => files.push(SourceFile::list(name, bytes)),
            Err(why) => unreadable.push(whole_file(&folder.join(&name), why)),
        }
    }
    if !unreadable.is_empty() {
        return Err(Diagnostics(unreadable));
    }
    let mut loaded = RuleSet::load(&files, &environment(configuration))?;
    let mut strangers = unknown_refuges(configuration, &loaded.rules);
    strangers.extend(unknown_hours(configuration, &loaded.rules));
    if strangers.is_empty() {
        loaded.warnings.extend(missing_clips(configuration));
        loaded.warnings.extend(undialled(configuration, &loaded.rules));
        loaded.warnings.extend(unstaffed(configuration, &loaded.rules));
        let others = configuration.rules.with_file_name("rules.d");
        loaded.warnings.extend(crate::config::not_read(&others).map(|path| Diagnostic {
            help: Some("only names that end in `.yaml` are".to_owned()),
            ..warning(&path, "this file is not read".to_owned())
        }));
        return Ok(loaded);
    }
    Err(Diagnostics(strangers))
}

/// As [`load`], and the files' own tests are run. One that fails is told and refuses nothing: a daemon that would not start again because of it
/// would cost more calls than the rule it is about.
pub(crate) fn load_tested(configuration: &Configuration) -> Result<Loaded, Diagnostics> {
    let mut loaded = load(configuration)?;
    let failed = loaded.rules.run_tests().into_iter().filter(|test| !test.passed()).map(|test| {
        let why = format!("the test `{}` in line {} fails: `tandem check` says how", test.name, test.line);
        warning(Path::new(&*test.file), why)
    });
    loaded.warnings.extend(failed);
    Ok(loaded)
}

/// `path:line:column: message`, one line, for logs.
pub(crate) fn line(diagnostic: &Diagnostic) -> String {
    match diagnostic.line {
        0 => format!("{}: {}", diagnostic.file, diagnostic.message),
        line => format!("{}:{line}:{}: {}", diagnostic.file, diagnostic.column, diagnostic.message),
    }
}

/// Names of all prompts, music and playlists there are.
pub(crate) fn clips(configuration: &Configuration) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = audio_files(&configuration.media.prompts).collect();
    all.insert("beep".to_owned());
    all.extend(audio_files(&configuration.media.prompts.join("said")).map(|name| format!("said/{name}")));
    all.extend(audio_files(&configuration.media.music).map(|name| format!("music/{name}")));
    all.extend(configuration.media.playlists.iter().map(|list| list.name.clone()));
    all
}

fn environment(configuration: &Configuration) -> Environment {
    Environment {
        lines: Some(configuration.routes.iter().map(|route| route.line.clone()).collect()),
        trunks: Some(configuration.trunks.iter().map(|trunk| trunk.name.clone()).collect()),
        profiles: Some(configuration.profiles.iter().map(|profile| profile.name.clone()).collect()),
        agents: Some(configuration.agents.people.iter().map(|(name, _)| name.clone()).collect()),
        mailboxes: Some(configuration.voicemail.mailboxes.iter().map(|(name, _)| name.clone()).collect()),
        prompts: Some(clips(configuration)),
        callbacks: Some(!configuration.callbacks.allow.is_empty()),
    }
}

/// The configuration's `on_ai_failure`, `after_human` and `feature_codes` name destinations of the rules: both files must agree.
fn unknown_refuges(configuration: &Configuration, rules: &RuleSet) -> Vec<Diagnostic> {
    let refuges = configuration.profiles.iter().flat_map(|profile| {
        let key = format!("ai.{}.on_ai_failure", profile.name);
        let named = profile.on_ai_failure.iter().filter_map(|refuge| match refuge {
            Refuge::Destination(name) => Some(name),
            _ => None,
        });
        let then = match &profile.after_human {
            AfterHuman::Destination(name) => Some((format!("ai.{}.after_human", profile.name), name)),
            AfterHuman::End | AfterHuman::Ai => None,
        };
        named.map(move |name| (key.clone(), name)).chain(then)
    });
    let codes = [("human", &configuration.codes.human), ("caller", &configuration.codes.caller)];
    let codes = codes.into_iter().flat_map(|(party, codes)| {
        codes.iter().filter_map(move |code| match &code.act {
            CodeAct::Transfer(name) => Some((format!("feature_codes.{party}.{}", code.keys), name)),
            CodeAct::HandBack => None,
        })
    });
    let strangers = refuges.chain(codes).filter(|(_, name)| !rules.knows(name));
    let diagnosed = strangers.map(|(key, name)| {
        let why = match name.strip_prefix("voicemail:") {
            Some(mailbox) => format!("`{key}`: there is no mailbox `{mailbox}`"),
            None => format!("`{key}`: the rules have no destination `{name}`"),
        };
        let near = policy::did_you_mean(name, rules.destinations().map(|destination| &*destination.name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        Diagnostic { severity: Severity::Error, help, ..named_at(configuration, &key, name, &configuration.rules, why) }
    });
    diagnosed.collect()
}

/// The configuration's campaigns name opening hours of the rules.
fn unknown_hours(configuration: &Configuration, rules: &RuleSet) -> Vec<Diagnostic> {
    let named = configuration.outbound.campaigns.iter().filter_map(|(name, it)| Some((name, it.hours.as_ref()?)));
    let strangers = named.filter(|(_, hours)| !rules.knows_hours(hours));
    let diagnosed = strangers.map(|(name, hours)| {
        let key = format!("campaigns.{name}.hours");
        let why = format!("`{key}`: the rules have no opening hours `{hours}`");
        Diagnostic { severity: Severity::Error, ..named_at(configuration, &key, hours, &configuration.rules, why) }
    });
    diagnosed.collect()
}

/// Queues that nobody of the configuration can serve.
fn unstaffed(configuration: &Configuration, rules: &RuleSet) -> Vec<Diagnostic> {
    let people = &configuration.agents.people;
    let serves = |skills: &policy::Skills, agent: &calls::AgentConfig| {
        skills.iter().all(|(skill, level)| agent.skills.get(skill).is_some_and(|has| has >= level))
    };
    let queues = rules.destinations().filter_map(|destination| match &destination.place {
        policy::Place::Queue(queue) => Some((&destination.name, &queue.skills)),
        _ => None,
    });
    let empty = queues.filter(|(_, skills)| !people.iter().any(|(_, agent)| serves(skills, agent)));
    let diagnosed = empty.map(|(name, skills)| {
        let skills: Vec<String> = skills.iter().map(|(skill, level)| format!("{skill} {level}")).collect();
        let why = format!("no agent of the configuration has what the queue `{name}` needs: {}", skills.join(", "));
        let help = Some("its callers get `no_agent`, unless the API gives somebody these skills".to_owned());
        Diagnostic { help, ..warning(&configuration.rules, why) }
    });
    diagnosed.collect()
}

/// Destinations whose numbers nobody dials: `dialling` rules them out, or no trunk carries them.
fn undialled(configuration: &Configuration, rules: &RuleSet) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for destination in rules.destinations() {
        let policy::Place::Dial(dial) = &destination.place else { continue };
        for target in &dial.targets {
            let Some(number) = target.strip_prefix("tel:") else { continue };
            let number: String = number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
            let carries = |trunk: &&crate::config::Trunk| trunk.tel.iter().any(|start| number.starts_with(&**start));
            let why = if configuration.dialling.refuses(&number) {
                "which `dialling` of the configuration rules out"
            } else if !configuration.trunks.iter().any(|trunk| carries(&trunk)) {
                "which no trunk's `tel` of the configuration covers"
            } else {
                continue;
            };
            let message = format!("the destination `{}` leads to {target}, {why}", destination.name);
            found.push(warning(&configuration.rules, message));
        }
    }
    found
}

fn missing_clips(configuration: &Configuration) -> Vec<Diagnostic> {
    let (known, media) = (clips(configuration), &configuration.media);
    let mut found = Vec::new();
    for (key, folder) in [("media.prompts", &media.prompts), ("media.music", &media.music)] {
        if let Err(error) = fs::read_dir(folder) {
            let why = format!("`{key}`: the folder {} cannot be read: {error}", folder.display());
            let spot = configuration.spots.of_key(key);
            let help = Some("nothing of it will be heard".to_owned());
            found.push(Diagnostic {
                help,
                ..spot.map_or_else(|| warning(folder, why.clone()), |spot| at(spot, why.clone()))
            });
        }
    }
    let mut named: Vec<(String, &str)> = vec![("media.hold_music".to_owned(), &media.hold_music)];
    named.extend(media.ai_lost.as_deref().map(|name| ("media.ai_lost_announcement".to_owned(), name)));
    named.extend(configuration.profiles.iter().flat_map(|profile| {
        profile.on_ai_failure.iter().filter_map(|refuge| match refuge {
            Refuge::Announce(prompt) => Some((format!("ai.{}.on_ai_failure", profile.name), &**prompt)),
            _ => None,
        })
    }));
    let greetings = configuration.voicemail.mailboxes.iter().filter_map(|(name, mailbox)| {
        Some((format!("voicemail.mailboxes.{name}.greeting"), mailbox.greeting.as_deref()?))
    });
    let asked = configuration.recording.consent.as_ref();
    named.extend(asked.map(|consent| ("recording.consent.prompt".to_owned(), consent.prompt.as_str())));
    named.extend(greetings);
    for list in &media.playlists {
        match &list.tracks {
            Tracks::Clips(clips) => {
                let key = format!("media.playlists.{}.clips", list.name);
                named.extend(clips.iter().map(|name| (key.clone(), name.as_str())));
            }
            Tracks::Folder(folder) if audio_files(folder).next().is_none() => {
                found.push(warning(folder, format!("the playlist `{}` finds no music here", list.name)));
            }
            Tracks::Folder(_) => {}
        }
    }
    for (key, name) in named.into_iter().filter(|(_, name)| !known.contains(*name)) {
        let why = format!("`{key}`: there is no prompt or music `{name}`");
        let near = policy::did_you_mean(name, known.iter().map(String::as_str));
        let help = near.map_or_else(|| "nothing will be heard".to_owned(), |near| format!("did you mean `{near}`?"));
        let folder = if name.starts_with("music/") { &media.music } else { &media.prompts };
        found.push(Diagnostic { help: Some(help), ..named_at(configuration, &key, name, folder, why) });
    }
    found
}

/// A warning about what `key` of the configuration names, at its place; where that is a default, about `file`.
fn named_at(configuration: &Configuration, key: &str, name: &str, file: &Path, why: String) -> Diagnostic {
    match configuration.spots.find(key, name) {
        Some(spot) => at(spot, why),
        None => warning(file, why),
    }
}

fn at(spot: &Spot, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        file: Arc::from(spot.file.as_str()),
        line: spot.line,
        column: spot.column,
        width: spot.width,
        source: spot.source.clone(),
        message,
        help: None,
    }
}

fn warning(path: &Path, message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..whole_file(path, message) }
}

fn audio_files(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let is_audio = EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known));
        is_audio.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
    })
}

/// The main file, then `rules.d/*.yaml` beside it by byte order.
pub(crate) fn paths(main: &Path) -> Vec<PathBuf> {
    let mut more: Vec<PathBuf> = fs::read_dir(main.with_file_name("rules.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    more.sort_unstable();
    more.insert(0, main.to_owned());
    more
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let about = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if about.len() > LARGEST {
        return Err(format!("is larger than {} MiB", LARGEST >> 20));
    }
    fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

fn whole_file(path: &Path, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: Arc::from(path.display().to_string()),
        line: 0,
        column: 0,
        width: 0,
        source: String::new(),
        message,
        help: None,
    }
}

#[cfg(test)]
mod tests;

//! What is wrong with a configuration, shown so that an operator finds the place without looking for it.

use std::fmt;

/// Where a value was written: a file's line and column, or an environment variable's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Sources`].
    pub source: u32,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Characters that the caret underlines; at least 1.
    pub length: u32,
}

/// One layer's text.
#[derive(Clone, Debug)]
pub struct Source {
    /// A path as the operator wrote it, or `environment variable TANDEM__…`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// True for an environment variable: there is no line to name.
    pub variable: bool,
}

/// Every layer that was read, in order of increasing weight.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a layer and answers its index.
    pub fn add(&mut self, source: Source) -> u32 {
        self.0.push(source);
        u32::try_from(self.0.len() - 1).expect("layers are few")
    }

    /// The layer of this index.
    pub fn of(&self, place: Place) -> Option<&Source> {
        self.0.get(place.source as usize)
    }
}

/// One mistake, or what an operator may not have meant.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What was found and what was expected, in the operator's words.
    pub message: String,
    /// Where; absent for what is missing as a whole.
    pub place: Option<Place>,
    /// True for what is taken as it is written.
    pub warning: bool,
    /// What would be right.
    pub help: Option<String>,
}

/// All mistakes of one reading, or all warnings, with the texts they point into.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The texts.
    pub sources: Sources,
    /// In order of appearance.
    pub list: Vec<Problem>,
}

/// What may not have been meant, as it is shown.
#[derive(Clone, Debug)]
pub struct Warning {
    /// `path:line:column: message`, for logs.
    pub line: String,
    /// As an operator reads it.
    pub block: String,
}

impl Problems {
    /// `path:line:column: message`, one line, for logs.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.list.iter().map(|problem| match problem.place.and_then(|place| Some((place, self.sources.of(place)?))) {
            Some((_, source)) if source.variable => format!("{}: {}", source.name, masked(&problem.message)),
            Some((place, source)) => {
                format!("{}:{}:{}: {}", source.name, place.line, place.column, masked(&problem.message))
            }
            None => masked(&problem.message),
        })
    }
}

impl Problems {
    /// Each mistake as the block an operator reads.
    pub fn blocks(&self) -> impl Iterator<Item = String> + '_ {
        self.list.iter().map(|problem| Block { problem, sources: &self.sources }.to_string())
    }
}

impl std::error::Error for Problems {}

struct Block<'a> {
    problem: &'a Problem,
    sources: &'a Sources,
}

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, sources } = self;
        let what = if problem.warning { "warning" } else { "error" };
        write!(f, "{what}: {}", masked(&problem.message))?;
        if let Some((place, source)) = problem.place.and_then(|place| Some((place, sources.of(place)?))) {
            excerpt(f, source, place)?;
        }
        match &problem.help {
            Some(help) => write!(f, "\n   = help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for block in self.blocks() {
            writeln!(f, "{block}\n")?;
        }
        let count = self.list.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "mistake" } else { "mistakes" })
    }
}

fn excerpt(f: &mut fmt::Formatter<'_>, source: &Source, place: Place) -> fmt::Result {
    let line = shown(source.text.lines().nth(place.line as usize - 1).unwrap_or_default());
    let shown: String = line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    let number = place.line.to_string();
    let gutter = " ".repeat(number.len());
    if source.variable {
        write!(f, "\n{gutter}--> {}", source.name)?;
    } else {
        write!(f, "\n{gutter}--> {}:{}:{}", source.name, place.line, place.column)?;
    }
    write!(f, "\n{gutter} |\n{number} | {shown}")?;
    let room = shown.chars().count().saturating_sub(place.column as usize - 1).max(1);
    let carets = "^".repeat((place.length as usize).clamp(1, room));
    write!(f, "\n{gutter} | {}{carets}", " ".repeat(place.column as usize - 1))
}

/// A line of a configuration as it may be shown, as long as it is: what is shown ends in logs, and passwords stand beside mistakes.
pub(super) fn shown(line: &str) -> String {
    let secrets: Vec<_> = line.match_indices(':').filter_map(|(colon, _)| secret_after(line, colon)).collect();
    let hidden = |at: usize| secrets.iter().any(|secret| secret.contains(&at));
    let starred: String = line.char_indices().map(|(at, c)| if hidden(at) { '*' } else { c }).collect();
    masked(&starred)
}

/// Where the value behind this colon stands, when it is a secret.
fn secret_after(line: &str, colon: usize) -> Option<std::ops::Range<usize>> {
    let before = line[..colon].trim_end_matches(['"', '\'']);
    let key = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|key| is_secret(key))?;
    let value = line[colon + 1..].trim_start();
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        // In a section on one line it ends where the next key begins.
        _ if before[..before.len() - key.len()].contains('{') => value.find([',', '}']).unwrap_or(value.len()),
        _ => value.len(),
    };
    let from = line.len() - value.len();
    Some(from..from + length)
}

/// Whether a secret is the value of this key, or of the key that was meant.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file")
        && (key.contains("secret") || key.contains("passw") || strsim::damerau_levenshtein(&key, "password") <= 2)
}

/// The same text, as long, with stars in place of a private key that somebody has pasted: what is shown here ends in logs.
fn masked(text: &str) -> String {
    const SECRET: &str = "AGE-SECRET-KEY-";
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.to_ascii_uppercase().find(SECRET) {
        let (before, secret) = rest.split_at(at + SECRET.len());
        let length = secret.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(secret.len());
        shown.push_str(before);
        shown.push_str(&"*".repeat(length));
        rest = &secret[length..];
    }
    shown + rest
}

/// The candidate an operator most likely meant by `word`, if one is near enough.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

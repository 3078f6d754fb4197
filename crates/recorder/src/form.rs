//! In which form audio lies in a file: its beginning, its samples, its end.

use crate::{
    RATE,
    opus::Opus,
    wav::{self, Format},
};

/// The form of a recording's audio.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// WAV.
    Wav(Format),
    /// Ogg Opus.
    OggOpus,
}

impl Form {
    /// The name in configuration and timelines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav(Format::Pcm16) => "wav-pcm16",
            Self::Wav(Format::G711(media_relay::Codec::Pcma)) => "wav-pcma",
            Self::Wav(Format::G711(_)) => "wav-pcmu",
            Self::OggOpus => "ogg-opus",
        }
    }

    /// What files of it are called by.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Wav(_) => "wav",
            Self::OggOpus => "opus",
        }
    }

    /// The same, where they are encrypted.
    #[cfg(feature = "io")]
    pub(crate) fn sealed_ending(self) -> &'static str {
        match self {
            Self::Wav(_) => "wav.age",
            Self::OggOpus => "opus.age",
        }
    }
}

/// Writes one file's audio.
pub(crate) enum Writer {
    Wav { format: Format, channels: u16 },
    Opus(Box<Opus>),
}

impl Writer {
    /// `serial` tells Ogg streams apart. Where there is no Opus (no memory is left), it is WAV.
    pub(crate) fn new(form: Form, channels: usize, serial: u32) -> Self {
        let wide = u16::try_from(channels).unwrap_or(1);
        match form {
            Form::Wav(format) => Self::Wav { format, channels: wide },
            Form::OggOpus => match Opus::new(channels, serial) {
                Ok(opus) => Self::Opus(Box::new(opus)),
                Err(_) => Self::Wav { format: Format::Pcm16, channels: wide },
            },
        }
    }

    /// The form that it really is.
    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Wav { format, .. } => Form::Wav(*format),
            Self::Opus(_) => Form::OggOpus,
        }
    }

    /// What stands before `bytes` bytes of audio, and is written anew whenever they have grown.
    pub(crate) fn head(&self, bytes: u64) -> Vec<u8> {
        match self {
            Self::Wav { format, channels } => wav::header(*format, *channels, RATE, bytes),
            Self::Opus(_) => Vec::new(),
        }
    }

    /// What stands before audio whose length is not known: of a WAV file, the sizes that readers take for "up to the file's end".
    #[cfg(feature = "io")]
    pub(crate) fn open_head(&self) -> Vec<u8> {
        match self {
            Self::Wav { format, channels } => wav::open_header(*format, *channels, RATE),
            Self::Opus(_) => Vec::new(),
        }
    }

    /// Appends samples, interleaved.
    pub(crate) fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) {
        match self {
            Self::Wav { format, .. } => format.encode(samples, bytes),
            Self::Opus(opus) => opus.encode(samples, bytes),
        }
    }

    /// Appends what stands after the last sample.
    pub(crate) fn finish(&mut self, bytes: &mut Vec<u8>) {
        if let Self::Opus(opus) = self {
            opus.finish(bytes);
        }
    }
}

//! Between our words and the relay's.

use crate::{
    MediaRecord, Nat,
    plan::{Hears, Playing, Then},
};
use media_relay::{CryptoSuite, Latching, Mos, OpusSettings, Play, PlayId, Source, SrtpKey, SrtpKeys, Stats, Stream};
use std::time::Duration;

/// What was agreed on in SDP, for the relay.
pub(crate) fn stream(agreed: &sdp::Agreement, nat: Nat, in_band_digits: bool) -> Stream {
    Stream {
        remote: agreed.remote,
        remote_rtcp: agreed.remote_rtcp,
        codec: codec(agreed.codec),
        payload_type_send: agreed.payload_type_send,
        payload_type_receive: agreed.payload_type_receive,
        alternatives: agreed.alternatives.iter().map(|(number, it)| (*number, codec(*it))).collect(),
        opus: OpusSettings {
            max_average_bitrate: agreed.opus.max_average_bitrate,
            fec: agreed.opus.fec,
            cbr: agreed.opus.cbr,
        },
        telephone_event: agreed.telephone_event,
        telephone_event_clock: agreed.telephone_event_clock,
        in_band_digits: in_band_digits && agreed.telephone_event.is_none(),
        ptime: agreed.ptime,
        may_send: agreed.may_send,
        may_receive: agreed.may_receive,
        nat: match nat {
            Nat::Sdp => Latching::Sdp,
            Nat::Learn => Latching::Learn,
        },
        srtp: agreed
            .srtp
            .as_ref()
            .map(|keys| Box::new(SrtpKeys { send: key(&keys.send), receive: key(&keys.receive) })),
        rtcp_mux: agreed.rtcp_mux,
    }
}

fn key(key: &sdp::MasterKey) -> SrtpKey {
    let suite = match key.suite() {
        sdp::CryptoSuite::AeadAes256Gcm => CryptoSuite::AeadAes256Gcm,
        sdp::CryptoSuite::AeadAes128Gcm => CryptoSuite::AeadAes128Gcm,
        sdp::CryptoSuite::AesCm128HmacSha1_80 => CryptoSuite::AesCm128HmacSha1_80,
        sdp::CryptoSuite::AesCm128HmacSha1_32 => CryptoSuite::AesCm128HmacSha1_32,
    };
    SrtpKey { suite, key: key.key().to_vec(), salt: key.salt().to_vec() }
}

fn codec(codec: sdp::Codec) -> media_relay::Codec {
    match codec {
        sdp::Codec::Pcma => media_relay::Codec::Pcma,
        sdp::Codec::G722 => media_relay::Codec::G722,
        sdp::Codec::Opus => media_relay::Codec::Opus,
        sdp::Codec::L16At8k => media_relay::Codec::L16At8k,
        sdp::Codec::L16At16k => media_relay::Codec::L16At16k,
        _ => media_relay::Codec::Pcmu,
    }
}

/// What a port hears, for the relay.
pub(crate) fn source(hears: &Hears) -> Source {
    match hears {
        Hears::Nothing => Source::Nothing,
        Hears::Silence => Source::Silence,
        Hears::Leg(port) => Source::Port(*port),
        Hears::Mix(ports) => Source::Mix(ports.to_vec()),
        Hears::Ringback => Source::Ringback,
        Hears::Playing(Playing { number, first, words, then }) => Source::Play(Play {
            id: PlayId(u64::from(*number)),
            first: first.to_vec(),
            words: *words,
            then: match then {
                Then::Silence => media_relay::Then::Silence,
                Then::Loop(name) => media_relay::Then::Loop(name.clone()),
                Then::Ringback => media_relay::Then::Ringback,
            },
        }),
    }
}

/// What a port counted, for records.
pub(crate) fn counted(stats: &Stats) -> MediaRecord {
    MediaRecord {
        packets_received: stats.packets_received,
        packets_sent: stats.packets_sent,
        packets_lost: u64::try_from(stats.packets_lost).unwrap_or(0),
        jitter_ms: ms(stats.jitter),
        remote_packets_lost: stats.remote_packets_lost.map(|lost| u64::try_from(lost).unwrap_or(0)),
        remote_jitter_ms: stats.remote_jitter.map(ms),
        round_trip_ms: stats.round_trip.map(ms),
        mos: stats.mos.map(Mos::value),
        remote_mos: stats.remote_mos.map(Mos::value),
    }
}

/// To the microsecond: a number that every reader of the record reads as it was written.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

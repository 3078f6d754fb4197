//! What the peer's RTCP says of the audio both ways: its quality, and whether it flows at all.

use crate::{Direction, Mos, Stats, port::Port, rtcp::Heard, sender::playing_at};
use clock::Monotonic;
use std::time::Duration;

/// For so long one side may have sent before it counts that the other has heard nothing.
const AFTER: Duration = Duration::from_secs(5);
/// So many reports in a row must say so.
const REPORTS: u8 = 2;
/// Fewer packets than these between two reports of the peer may be on their way still.
const MISSING: u32 = 50;

/// Evidence that audio flows one way only.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// When the peer was sent the first packet that it should have heard by now.
    sending_since: Option<Monotonic>,
    /// Reports in a row in which the peer has heard nothing of us.
    unheard: u8,
    /// Packets the peer had sent, and packets that had come, at its last sender report.
    last: Option<(u32, u64)>,
    /// Sender reports in a row whose packets did not come.
    missing: u8,
    /// What was told already.
    told: [bool; 2],
}

impl Port {
    /// Takes over what a compound packet of the peer says; true when there is something to report.
    pub(crate) fn reported_by_peer(&mut self, now: Monotonic, heard: &Heard) -> bool {
        if let Some((ntp, _)) = heard.sender_report {
            self.receiver.sender_report(now, ntp);
        }
        if let Some(about) = &heard.about_us {
            self.stats.remote_fraction_lost = Some(about.fraction_lost);
            self.stats.remote_packets_lost = Some(about.lost);
            self.stats.remote_jitter = Some(playing_at(about.jitter, self.sender.clock));
            self.stats.round_trip = about.round_trip.or(self.stats.round_trip);
        }
        if let Some(voip) = &heard.voip {
            self.stats.remote_fraction_discarded = Some(voip.fraction_discarded);
            self.stats.round_trip = self.stats.round_trip.or(voip.round_trip);
            self.stats.remote_mos = voip.mos.or(self.stats.remote_mos);
        }
        let deaf = heard.reports && self.is_unheard(now, heard);
        let mute = heard.sender_report.is_some_and(|(_, sent)| self.is_missing(sent));
        self.doubt(deaf, Direction::ToPeer) | self.doubt(mute, Direction::FromPeer)
    }

    /// Whether the peer has said often enough that nothing of ours reaches it.
    fn is_unheard(&mut self, now: Monotonic, heard: &Heard) -> bool {
        let doubts = &mut self.doubts;
        let nothing = heard.about_us.as_ref().is_none_or(|about| about.fraction_lost == u8::MAX);
        if self.sender.packets == 0 || !nothing {
            (doubts.sending_since, doubts.unheard) = (None, 0);
            return false;
        }
        let since = *doubts.sending_since.get_or_insert(now);
        doubts.unheard = doubts.unheard.saturating_add(1);
        doubts.unheard > REPORTS && now.since(since) >= AFTER
    }

    /// Whether the peer has said often enough that it sends what does not come.
    fn is_missing(&mut self, sent: u32) -> bool {
        let doubts = &mut self.doubts;
        let received = self.stats.packets_received;
        let missed = doubts.last.replace((sent, received)).is_some_and(|(before, came)| {
            (MISSING..u32::MAX / 2).contains(&sent.wrapping_sub(before)) && came == received
        });
        doubts.missing = if missed { doubts.missing.saturating_add(1) } else { 0 };
        doubts.missing >= REPORTS
    }

    fn doubt(&mut self, certain: bool, direction: Direction) -> bool {
        let told = &mut self.doubts.told[usize::from(direction == Direction::ToPeer)];
        let news = certain && !*told;
        *told |= certain;
        if news {
            self.outbox.one_way.push(direction);
        }
        news
    }

    /// Adds to counts how the audio both ways would be judged.
    pub(crate) fn judge(&self, stats: &mut Stats) {
        let Some(codec) = self.receiving.or(self.stream.as_ref().map(|stream| stream.codec)) else { return };
        let lost = u64::try_from(stats.packets_lost).unwrap_or(0);
        stats.mos = Mos::estimate(codec, stats.packets_received + lost, lost, stats.jitter, stats.round_trip);
        if stats.remote_mos.is_none()
            && let (Some(stream), Some(lost), Some(jitter)) =
                (&self.stream, stats.remote_packets_lost, stats.remote_jitter)
        {
            let lost = u64::try_from(lost).unwrap_or(0);
            stats.remote_mos = Mos::estimate(stream.codec, stats.packets_sent, lost, jitter, stats.round_trip);
        }
    }
}

//! The thread that writes. Whoever gives it orders never waits for it.

use super::{Archive, Closer, Desk, News, Order, RealDisk, Recipients};
use crate::Form;
use clock::io::monotonic;
use media_relay::{Block, Taps};
use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

/// Orders on their way to the thread; those that may not be lost wait in the handle beyond that.
const ORDERS: usize = 16_384;
/// Orders waiting in the handle while a disk stands still.
const WAITING: usize = 200_000;
/// Blocks on their way: more than the taps of a full machine own.
const BLOCKS: usize = 65_536;
/// The thread looks for blocks so often while something is recorded.
const TICK: Duration = Duration::from_millis(50);
/// What a disk may take for the last words.
const PATIENCE: Duration = Duration::from_secs(5);

/// How recordings are written.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where.
    pub directory: PathBuf,
    /// Where messages left in mailboxes are.
    pub messages: PathBuf,
    /// In which form.
    pub form: Form,
    /// To whom they are encrypted; to nobody: not at all.
    pub encrypt_to: Recipients,
    /// Each is marked as waiting to be uploaded before it is announced.
    pub upload: bool,
}

/// Counts that any thread may read.
#[derive(Debug, Default)]
pub struct Gauges {
    active: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    lost_frames: AtomicU64,
}

impl Gauges {
    /// Recordings that grow.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Bytes of audio written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Times the disk refused something.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Frames missing in recordings that ended.
    pub fn lost_frames(&self) -> u64 {
        self.lost_frames.load(Ordering::Relaxed)
    }
}

/// The thread, from its start to its end.
pub struct Recorder {
    gauges: Arc<Gauges>,
    orders: SyncSender<Order>,
    over: Receiver<()>,
}

/// Gives orders.
#[derive(Debug)]
pub struct Handle {
    orders: SyncSender<Order>,
    waiting: VecDeque<Order>,
    lost: u64,
}

impl Recorder {
    /// Closes what an earlier life left open and starts the thread. Audio comes through the [`Taps`]; news go to `report`, on
    /// the thread, and `opened` is told there when what was left open is closed.
    pub fn start(
        config: Config,
        opened: impl FnOnce() + Send + 'static,
        mut report: impl FnMut(News) + Send + 'static,
    ) -> io::Result<(Self, Taps)> {
        let (orders, inbox) = sync_channel(ORDERS);
        let (audio, blocks) = sync_channel(BLOCKS);
        let (last, over) = sync_channel(1);
        let closer = Closer::start(RealDisk)?;
        let gauges = Arc::new(Gauges::default());
        let shown = Arc::clone(&gauges);
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let folders = [&config.directory, &config.messages].into_iter();
            let recovered: usize = folders.map(|folder| Archive::new(folder.clone()).recover(config.upload)).sum();
            if recovered > 0 {
                tracing::warn!(recordings = recovered, "recordings of an earlier life were closed");
            }
            opened();
            let mut desk = Desk::new(config, RealDisk);
            desk.close_by(closer);
            while work(&mut desk, &inbox, &blocks) {
                show(&desk, &shown);
                while let Some(news) = desk.poll_news() {
                    report(news);
                }
            }
            desk.finish_all(monotonic());
            desk.wait_for_closing();
            show(&desk, &shown);
            while let Some(news) = desk.poll_news() {
                report(news);
            }
            let _ = last.send(());
        })?;
        Ok((Self { gauges, orders, over }, Taps::new(vec![audio])))
    }

    /// Another giver of orders.
    pub fn handle(&self) -> Handle {
        Handle { orders: self.orders.clone(), waiting: VecDeque::new(), lost: 0 }
    }

    /// Counts for any thread.
    pub fn gauges(&self) -> Arc<Gauges> {
        Arc::clone(&self.gauges)
    }

    /// Waits until everything is written, once all handles and taps are gone; a disk that stands still is not waited for.
    pub fn finish(self) {
        let Self { orders, over, .. } = self;
        drop(orders);
        if over.recv_timeout(PATIENCE).is_err() {
            tracing::error!("recordings could not be closed in time; they will be when the daemon starts again");
        }
    }
}

impl Handle {
    /// Gives an order that may not be lost. It never waits.
    pub fn order(&mut self, order: Order) {
        self.waiting.push_back(order);
        self.hand_over();
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::error!(orders = self.lost, "the recorder stands still; orders are lost");
            }
        }
    }

    /// Gives an order that may be lost when the disk stands still.
    pub fn mention(&self, order: Order) {
        let _ = self.orders.try_send(order);
    }

    /// Hands over what waits.
    pub fn hand_over(&mut self) {
        while let Some(order) = self.waiting.pop_front() {
            match self.orders.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => return self.waiting.push_front(order),
                Err(TrySendError::Disconnected(_)) => return self.waiting.clear(),
            }
        }
    }
}

/// One round; false when nobody gives orders any more.
fn work(desk: &mut Desk<RealDisk>, inbox: &Receiver<Order>, blocks: &Receiver<Box<Block>>) -> bool {
    let first = match desk.active() + desk.closing() {
        0 => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        _ => inbox.recv_timeout(TICK),
    };
    let alive = !matches!(first, Err(RecvTimeoutError::Disconnected));
    // Read before the orders: whatever was ordered by now is carried out before audio of now is given out.
    let now = monotonic();
    // Taken before the orders: a block comes after the order its recording began with.
    let audio: Vec<Box<Block>> = blocks.try_iter().take(BLOCKS).collect();
    first.into_iter().chain(inbox.try_iter().take(ORDERS)).for_each(|order| desk.order(order));
    audio.into_iter().for_each(|block| desk.block(block));
    desk.tick(now);
    alive
}

fn show(desk: &Desk<RealDisk>, gauges: &Gauges) {
    gauges.active.store(desk.active() as u64, Ordering::Relaxed);
    gauges.bytes.store(desk.bytes, Ordering::Relaxed);
    gauges.errors.store(desk.errors, Ordering::Relaxed);
    gauges.lost_frames.store(desk.lost_frames, Ordering::Relaxed);
}

//! Decides when which bytes leave. No IO.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::Instant;
use tributary::random::Random;

use super::toxic::Toxic;

/// How many chunks wait at most: a proxy that holds back its bytes stops reading.
const CHUNKS_MAX: usize = 64;

/// Bytes on their way, each chunk with its time.
pub(super) struct Queue {
    chunks: VecDeque<(Instant, Bytes)>,
    /// When the bandwidth is free again.
    free: Instant,
    /// The bytes that passed since the limit was set.
    passed: usize,
    /// No further bytes: a limit is reached.
    over: bool,
    pub(super) random: Random,
}

impl Queue {
    pub(super) fn new(random: Random) -> Self {
        Queue {
            chunks: VecDeque::new(),
            free: Instant::now(),
            passed: 0,
            over: false,
            random,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.chunks.len() >= CHUNKS_MAX
    }

    /// Whether the connection is to be closed after the last chunk.
    pub(super) fn is_over(&self) -> bool {
        self.over && self.chunks.is_empty()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.chunks.front().map(|(due, _)| *due)
    }

    /// The bytes to write next; the writer advances them.
    pub(super) fn front(&mut self) -> Option<&mut Bytes> {
        self.chunks.front_mut().map(|(_, bytes)| bytes)
    }

    pub(super) fn drop_written(&mut self) {
        self.chunks
            .pop_front_if(|(_, bytes)| !bytes.has_remaining());
    }

    /// Takes bytes that have come, and does to them what each toxic says, in order.
    pub(super) fn put(&mut self, bytes: BytesMut, toxics: &[Toxic]) {
        let mut pieces = vec![(Instant::now(), bytes)];
        for toxic in toxics {
            match *toxic {
                Toxic::Latency { latency, jitter } => {
                    let spread = u32::try_from(self.draw(2001)).expect("it is small");
                    let late = (latency + jitter * spread / 1000).saturating_sub(jitter);
                    for (due, _) in &mut pieces {
                        *due += late;
                    }
                }
                Toxic::Slicer {
                    average_size,
                    size_variation,
                    delay,
                } => pieces = self.sliced(pieces, average_size, size_variation, delay),
                Toxic::Bandwidth { rate } => pieces = self.narrowed(pieces, rate),
                Toxic::LimitData { bytes } => self.limited(&mut pieces, bytes),
                Toxic::Corrupt { run, share } => {
                    for (_, piece) in &mut pieces {
                        if self.random.chance(share) {
                            self.damage(piece, run);
                        }
                    }
                }
                Toxic::Timeout { .. } => pieces.clear(),
                Toxic::SlowClose { .. } | Toxic::ResetPeer { .. } | Toxic::Hold => {}
            }
        }
        for (due, piece) in pieces.into_iter().filter(|(_, piece)| !piece.is_empty()) {
            // No chunk overtakes another.
            let due = self.chunks.back().map_or(due, |(last, _)| due.max(*last));
            self.chunks.push_back((due, piece.freeze()));
        }
    }

    fn sliced(
        &mut self,
        pieces: Vec<(Instant, BytesMut)>,
        average: usize,
        variation: usize,
        delay: Duration,
    ) -> Vec<(Instant, BytesMut)> {
        let mut slices = Vec::new();
        for (mut due, mut piece) in pieces {
            while !piece.is_empty() {
                let spread = self.draw(2 * variation + 1);
                let size = (average + spread).saturating_sub(variation).max(1);
                slices.push((due, piece.split_to(size.min(piece.len()))));
                due += delay;
            }
        }
        slices
    }

    fn narrowed(
        &mut self,
        pieces: Vec<(Instant, BytesMut)>,
        rate: u32,
    ) -> Vec<(Instant, BytesMut)> {
        let per_second = rate.max(1) as usize * 1000;
        let second = Duration::from_secs(1);
        let mut slices = Vec::new();
        for (due, mut piece) in pieces {
            while !piece.is_empty() {
                let part = piece.split_to((per_second / 10).min(piece.len()));
                let len = u32::try_from(part.len()).expect("a short part");
                let takes = second / (rate.max(1) * 1000) * len;
                self.free = self.free.max(due) + takes;
                slices.push((self.free, part));
            }
        }
        slices
    }

    fn limited(&mut self, pieces: &mut [(Instant, BytesMut)], limit: usize) {
        for (_, piece) in pieces {
            piece.truncate(limit.saturating_sub(self.passed));
            self.passed += piece.len();
        }
        self.over |= self.passed >= limit;
    }

    fn damage(&mut self, piece: &mut BytesMut, run: usize) {
        let at = self.draw(piece.len().saturating_sub(run) + 1);
        let end = (at + run).min(piece.len());
        for byte in &mut piece[at..end] {
            *byte = self.random.draw().to_be_bytes()[0];
        }
    }

    /// A number below `end`.
    fn draw(&mut self, end: usize) -> usize {
        usize::try_from(self.random.draw() % end as u64).expect("below a usize")
    }

    /// A limit counts from when it is set.
    pub(super) fn conditions_changed(&mut self) {
        self.passed = 0;
        self.over = false;
    }
}

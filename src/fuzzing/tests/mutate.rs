//! Creates inputs by changing others; the same seed gives the same inputs.

/// Longer inputs are cut to this length.
const LENGTH_MAX: usize = 4096;
/// Numbers at which behaviour tends to change.
const NUMBERS: [u32; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// Creates any number of inputs.
pub(super) struct Mutator<'c> {
    corpus: &'c [Vec<u8>],
    state: u64,
}

impl<'c> Mutator<'c> {
    pub(super) fn new(corpus: &'c [Vec<u8>], seed: u64) -> Self {
        Mutator {
            corpus,
            state: seed,
        }
    }

    /// An input of the corpus, changed in a few places.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.one().clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LENGTH_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(9)).min(input.len());
        match self.below(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let other = self.one();
                let from = self.below(other.len() + 1);
                let to = (from + self.below(65)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            3 => {
                let bytes = NUMBERS[self.below(NUMBERS.len())].to_be_bytes();
                let width = [1, 2, 4][self.below(3)];
                for (place, byte) in input[at..].iter_mut().zip(&bytes[4 - width..]) {
                    *place = *byte;
                }
            }
            4 => {
                let again: Vec<u8> = input[at..end].repeat(1 + self.below(20));
                input.splice(at..at, again);
            }
            5 => {
                let bit = 1 << self.below(8);
                input
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= bit);
            }
            _ => {
                let byte = self.next_number().to_be_bytes()[0];
                input.insert(at, byte);
            }
        }
    }

    fn one(&mut self) -> &'c Vec<u8> {
        &self.corpus[self.below(self.corpus.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        let number = self.next_number() >> 33;
        usize::try_from(number).expect("31 bits") % end
    }

    /// `SplitMix64`
    fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

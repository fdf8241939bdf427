//! What calls ask and stores answer: a nonce that is far from every other nonce, with a check.
//!
//! The nonce of the call with number n is a bijection of n, so that a value that reaches the wrong call names the call
//! that it belongs to. Nonces of neighbouring calls differ in about half of their bits: damage turns none of them into
//! another that is in use.

/// The odd factors of a bijection of 64 bits (`SplitMix64`), and the seed of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nonces {
    pub(super) seed: u64,
}

const FACTORS: [u64; 2] = [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB];
const SHIFTS: [u32; 3] = [30, 27, 31];

impl Nonces {
    /// What the call with this number asks for.
    pub(super) fn token(self, number: u64) -> String {
        let nonce = mixed(number ^ self.seed);
        format!("{nonce:016x}-{:08x}", check(nonce))
    }

    /// The number of the call that asks for this, if the check is right.
    pub(super) fn number(self, token: &str) -> Option<u64> {
        let (nonce, said) = token.split_once('-')?;
        let nonce = u64::from_str_radix(nonce, 16).ok()?;
        let right = said == format!("{:08x}", check(nonce));
        right.then(|| unmixed(nonce) ^ self.seed)
    }
}

/// What a store answers to a token.
pub(super) fn answer(store: &str, token: &str) -> String {
    format!("{store} {token}")
}

fn check(nonce: u64) -> u64 {
    mixed(nonce ^ 0x5EED) >> 32
}

fn mixed(mut z: u64) -> u64 {
    for (shift, factor) in SHIFTS.iter().zip(FACTORS) {
        z = (z ^ (z >> shift)).wrapping_mul(factor);
    }
    z ^ (z >> SHIFTS[2])
}

fn unmixed(mut z: u64) -> u64 {
    z = unshifted(z, SHIFTS[2]);
    for (shift, factor) in SHIFTS.iter().zip(FACTORS).rev() {
        z = unshifted(z.wrapping_mul(inverse(factor)), *shift);
    }
    z
}

/// Undoes `z ^ (z >> shift)`: each round gets `shift` more bits right.
fn unshifted(z: u64, shift: u32) -> u64 {
    (0..64 / shift).fold(z, |right, _| z ^ (right >> shift))
}

/// The inverse of an odd factor: each round of Newton's doubles the bits that are right.
fn inverse(factor: u64) -> u64 {
    (0..5).fold(factor, |inverse, _| {
        inverse.wrapping_mul(2u64.wrapping_sub(factor.wrapping_mul(inverse)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_call_and_no_damaged_one_does() {
        let nonces = Nonces { seed: 99 };
        for number in [0, 1, 2, 1_000_000, u64::MAX] {
            let token = nonces.token(number);
            assert_eq!(nonces.number(&token), Some(number), "{token}");
            for at in 0..token.len() {
                let mut damaged = token.clone().into_bytes();
                damaged[at] = if damaged[at] == b'7' { b'8' } else { b'7' };
                let damaged = String::from_utf8(damaged).expect("ASCII");
                assert_eq!(nonces.number(&damaged), None, "{damaged}");
            }
            assert_eq!(nonces.number(&token[..token.len() - 1]), None);
        }
    }
}

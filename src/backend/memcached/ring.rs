//! Finds the server that has a key, with a ketama ring like that of other memcached clients.
//!
//! Each server puts 160 points on a circle of 32-bit numbers: the four words of the MD5 of `host:port-0`,
//! `host:port-1`, up to `-39`. A key belongs to the first point at or after the first word of its own MD5. A
//! server that is added or removed moves only its own keys; the order of the servers does not matter. As in
//! libmemcached with weighted ketama and equal weights, the standard port is omitted from the text. Its rounding, which
//! costs each of 25 or 47 servers four points, is not copied.

use super::address::Address;

/// Digests per server, of four points each.
const DIGESTS: usize = 40;

/// The points of all servers.
#[derive(Debug)]
pub(super) struct Ring {
    /// Sorted. If two servers share a point, it belongs to the one that comes first in the configuration.
    points: Vec<(u32, usize)>,
}

impl Ring {
    /// The ring of `servers`, which it identifies by their indices.
    pub(super) fn new(servers: &[Address]) -> Self {
        let mut points = Vec::with_capacity(servers.len() * DIGESTS * 4);
        for (server, address) in servers.iter().enumerate() {
            let name = address.ring_name();
            for index in 0..DIGESTS {
                let words = words(format!("{name}-{index}").as_bytes());
                points.extend(words.map(|point| (point, server)));
            }
        }
        points.sort_unstable();
        Ring { points }
    }

    /// The index of the server that has `key`.
    pub(super) fn server(&self, key: &[u8]) -> usize {
        let [hash, ..] = words(key);
        let at = self.points.partition_point(|(point, _)| *point < hash);
        let (_, server) = self.points[at % self.points.len()];
        server
    }
}

/// An MD5 as four numbers, the lowest byte of each first.
fn words(text: &[u8]) -> [u32; 4] {
    let digest = md5::compute(text).0;
    let (words, _) = digest.as_chunks::<4>();
    std::array::from_fn(|at| u32::from_le_bytes(words[at]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn servers(names: &[String]) -> Vec<Address> {
        let parse = |name: &String| Address::parse(name).expect("an address");
        names.iter().map(parse).collect()
    }

    fn three() -> Ring {
        let names = ["127.0.0.1:11211", "127.0.0.1:21212", "127.0.0.1:21213"];
        Ring::new(&servers(&names.map(str::to_owned)))
    }

    /// Where libmemcached 1.0.18 put the same keys, with `ketama_weighted`, on three servers at these addresses.
    #[test]
    fn keys_are_where_libmemcached_puts_them() {
        let ring = three();
        let of = |key: &str| ring.server(key.as_bytes());
        for (key, server) in [
            ("airport:JFK", 1),
            ("airport:LGA", 1),
            ("airport:EWR", 0),
            ("!", 2),
            (&"~".repeat(250), 2),
            ("user:1", 1),
            ("user:2", 2),
            ("note:ann", 1),
            ("k", 0),
            ("seats:UA:1545", 1),
        ] {
            assert_eq!(of(key), server, "{key}");
        }
        let places: String = (0..64)
            .map(|n| of(&format!("key:{n}")).to_string())
            .collect();
        assert_eq!(
            places,
            "0000112101101100022000020120000012010122210022012201020121022101"
        );
        let mut counts = [0; 3];
        (0..2000).for_each(|n| counts[of(&format!("key:{n}"))] += 1);
        assert_eq!(counts, [628, 666, 706]);
    }

    #[test]
    fn points_are_the_words_of_the_digests() {
        let points = three().points;
        assert_eq!(points.len(), 3 * 160);
        assert_eq!(
            points[..3],
            [(757_885, 1), (16_590_639, 0), (91_009_022, 1)]
        );
        assert_eq!(points[478..], [(4_290_681_642, 1), (4_292_932_786, 0)]);
    }

    #[test]
    fn a_hash_past_the_last_point_belongs_to_the_first() {
        let ring = Ring {
            points: vec![(0, 1), (1, 0)],
        };
        assert_eq!(ring.server(b"anything"), 1);
    }

    proptest! {
        #[test]
        fn a_server_that_goes_moves_only_its_own_keys(
            count in 2_usize..12,
            gone in 0_usize..12,
            keys in prop::collection::vec("[!-~]{1,40}", 1..50),
        ) {
            let names: Vec<String> = (0..count).map(|n| format!("cache-{n}:11211")).collect();
            let gone = gone % count;
            let mut left = names.clone();
            left.remove(gone);
            let (before, after) = (Ring::new(&servers(&names)), Ring::new(&servers(&left)));
            for key in keys {
                let was = &names[before.server(key.as_bytes())];
                let is = &left[after.server(key.as_bytes())];
                prop_assert!(was == is || was == &names[gone], "{key}: {was} to {is}");
            }
        }

        #[test]
        fn the_order_of_servers_does_not_matter(keys in prop::collection::vec("[!-~]{1,40}", 1..50)) {
            let names: Vec<String> = (0..5).map(|n| format!("10.0.0.{n}:11311")).collect();
            let turned: Vec<String> = names.iter().rev().cloned().collect();
            let (one, other) = (Ring::new(&servers(&names)), Ring::new(&servers(&turned)));
            for key in keys {
                let key = key.as_bytes();
                prop_assert_eq!(&names[one.server(key)], &turned[other.server(key)]);
            }
        }
    }
}

//! Where the addresses that a cluster or sentinels name really lead: `addresses` of `[backends.NAME]`.
//!
//! Servers behind NAT name each other by addresses that only they can reach. The map is applied when a socket is opened,
//! so it holds for the nodes of slots, for redirections, for masters and for replicas alike; everything else goes on with
//! the addresses that the servers name.

use std::collections::HashMap;

use super::address::Address;
use crate::config::Section;

/// The most addresses of one map.
const ADDRESSES_MAX: usize = 2000;
const HELP: &str = "`addresses = { \"10.0.0.1:6379\" = \"127.0.0.1:7001\" }`: the address that the servers name, and the one that leads there";

/// Real addresses by named ones.
#[derive(Debug, Default)]
pub(super) struct AddressMap(HashMap<Address, Address>);

impl AddressMap {
    /// Takes the key `addresses`; `None` if it was wrong, which has been reported.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        if !section.has("addresses") {
            section.take("addresses");
            return Some(AddressMap::default());
        }
        let before = section.document().problems.len();
        let mut table = section.section("addresses")?;
        let mut map = HashMap::new();
        let keys = table.keys();
        if keys.len() > ADDRESSES_MAX {
            let place = table.place().clone();
            let message = format!("more than {ADDRESSES_MAX} addresses");
            section.bad(&place, message, None);
            return None;
        }
        for named in keys {
            let Some((value, place)) = table.take_named(&named) else {
                continue;
            };
            let Some(real) = value.as_str() else {
                table.expected(&place, "an address in quotes", &value);
                continue;
            };
            let both = [&*named, real].map(|text| (text, Address::with_port(text)));
            for (text, address) in &both {
                if let Err(why) = address {
                    let message = format!("`{text}` is not an address: {why}");
                    table.bad(&place, message, Some(HELP.into()));
                }
            }
            if let [(_, Ok(address)), (_, Ok(real))] = both
                && map.insert(address, real).is_some()
            {
                let message = format!("`{named}` is listed twice");
                table.bad(&place, message, None);
            }
        }
        table.finish();
        (section.document().problems.len() == before).then_some(AddressMap(map))
    }

    /// Where `named` leads.
    pub(super) fn real<'a>(&'a self, named: &'a Address) -> &'a Address {
        self.0.get(named).unwrap_or(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(text: &str) -> Result<AddressMap, String> {
        let document = document(text);
        let map = AddressMap::read(&mut whole(&document));
        let problems = document.problems.into_vec();
        match problems.first() {
            Some(problem) => Err(format!("{} {:?}", problem.message, problem.help)),
            None => Ok(map.expect("no problems")),
        }
    }

    fn at(host: &str, port: u16) -> Address {
        Address::Tcp(host.into(), port)
    }

    #[test]
    fn named_addresses_lead_to_real_ones() {
        let text = "addresses = { '10.0.0.1:6379' = '127.0.0.1:7001', 'fd00::1:6379' = '[::1]:7002', 'n:1' = 'm:2' }";
        let map = read(text).expect("valid");
        assert_eq!(*map.real(&at("10.0.0.1", 6379)), at("127.0.0.1", 7001));
        assert_eq!(*map.real(&at("fd00::1", 6379)), at("::1", 7002));
        assert_eq!(*map.real(&at("n", 1)), at("m", 2));
        for other in [at("10.0.0.1", 6380), at("m", 2), Address::Unix("/s".into())] {
            assert_eq!(*map.real(&other), other);
        }
        assert_eq!(*read("").expect("valid").real(&at("n", 1)), at("n", 1));
    }

    #[test]
    fn addresses_that_are_none() {
        for (text, expected) in [
            ("addresses = 7", "expected a table"),
            ("addresses = { 'a:1' = 7 }", "expected an address in quotes"),
            ("addresses = { a = 'b:1' }", "it has no port"),
            ("addresses = { 'a:1' = 'b' }", "it has no port"),
            ("addresses = { 'a:1' = ':1' }", "its host"),
            ("addresses = { 'a:1' = 'redis://b:1' }", "its host"),
            ("addresses = { 'a:1' = 'b:0' }", "its port"),
            (
                "addresses = { '::1:7' = 'b:1', '[::1]:7' = 'b:2' }",
                "listed twice",
            ),
        ] {
            let why = read(text).expect_err(text);
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}

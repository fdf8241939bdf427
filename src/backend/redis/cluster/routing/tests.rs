//! Splitting and joining batches.

use bytes::Bytes;

use super::slot_command::words;
use super::*;
use crate::backend::redis::tests::compiled;
use crate::error::Code;

/// Answers every command of `commands` with its keys as values.
fn echo(commands: &SlotCommands) -> Vec<Result<Reply, LookupError>> {
    let echo = |command: &SlotCommand| {
        let is_mget = words(&command.packed).next() == Some(b"MGET");
        let mut values = keys(&command.packed, is_mget)
            .map(|key| Reply::String(Bytes::copy_from_slice(key)))
            .collect::<Vec<_>>();
        Ok(if is_mget {
            Reply::Array(values)
        } else {
            values.remove(0)
        })
    };
    commands.commands().iter().map(echo).collect()
}

#[test]
fn a_batch_is_split_and_joined_again() {
    let get = compiled("get = 'k:{id}'").lookup;
    let mget = compiled("mget = 'k:{ids}'").lookup;
    let hget = compiled("hget = 'k:{id}'\nfield = '{field}'").lookup;
    let params: [&[Value]; 7] = [
        &[1.into()],
        &[vec![3, 1, 2, 1].into()],
        &[Value::List(vec![])],
        &[1.into()],
        &[Value::Null],
        &[1.into(), "x".into()],
        &[vec![1, 2].into()],
    ];
    let lookups = [&get, &mget, &mget, &get, &get, &hget, &mget];
    let asked: Vec<_> = lookups
        .into_iter()
        .zip(params)
        .map(|(lookup, params)| BatchedAsk { lookup, params })
        .collect();
    let commands = SlotCommands::of(&asked);
    // `GET k:1`, `MGET k:3`, `MGET k:1 k:1`, `MGET k:2`, `HGET k:1 x`, `MGET k:1`.
    assert_eq!(commands.commands().len(), 6);
    for command in commands.commands() {
        let first = keys(&command.packed, false).next().expect("a key");
        assert_eq!(command.slot, slot::of(first));
    }
    let replies = echo(&commands);
    let answers = commands.answers(&asked, replies);
    let answers: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map(|answer| answer.value).map_err(|err| err.code))
        .collect();
    let want = [
        Ok("k:1".into()),
        Ok(vec!["k:3", "k:1", "k:2", "k:1"].into()),
        Ok(Value::List(vec![])),
        Ok("k:1".into()),
        Err(Code::LookupBadParam),
        Ok("k:1".into()),
        Ok(vec!["k:1", "k:2"].into()),
    ];
    assert_eq!(answers, want);
}

#[test]
fn a_failing_slot_fails_only_the_lookups_that_need_it() {
    let mget = compiled("mget = '{keys}'").lookup;
    let params: [&[Value]; 4] = [
        &[vec!["a", "b"].into()],
        &[vec!["b", "c"].into()],
        &[vec!["{c}1", "{c}2"].into()],
        &[vec!["c", "d\r\n$1"].into()],
    ];
    let asked = params.map(|params| BatchedAsk {
        lookup: &mget,
        params,
    });
    let commands = SlotCommands::of(&asked);
    let mut replies = echo(&commands);
    for (key, reply) in [
        (
            &b"a"[..],
            Err(LookupError::new(Code::LookupUnavailable, "away")),
        ),
        (b"d\r\n$1", Ok(Reply::Error("NOPERM x".into()))),
    ] {
        let slot = slot::of(key);
        let failed = commands
            .commands()
            .iter()
            .position(|command| command.slot == slot);
        replies[failed.expect("there")] = reply;
    }
    let answers = commands.answers(&asked, replies);
    let codes = answers
        .iter()
        .map(|answer| answer.as_ref().err().map(|err| err.code));
    let codes: Vec<_> = codes.collect();
    let want = [
        Some(Code::LookupUnavailable),
        None,
        None,
        Some(Code::LookupRefused),
    ];
    assert_eq!(codes, want);
}

//! Splitting and joining batches.

use std::cell::RefCell;

use bytes::Bytes;

use super::slot_command::words;
use super::*;
use crate::backend::redis::tests::compiled;
use crate::error::Code;

/// The reply to a command that has its keys as values.
fn echo(command: &SlotCommand) -> Reply {
    let is_mget = words(&command.packed).next() == Some(b"MGET");
    let mut values = keys(&command.packed, is_mget)
        .map(|key| Reply::String(Bytes::copy_from_slice(key)))
        .collect::<Vec<_>>();
    if is_mget {
        Reply::Array(values)
    } else {
        values.remove(0)
    }
}

/// The answers to a batch whose commands have these replies, `None` if the reply never comes. The last reply comes first.
fn answers(
    asked: &[BatchedAsk<'_, Command>],
    reply: impl Fn(&SlotCommand) -> Option<Result<Reply, LookupError>>,
) -> Vec<Option<Result<Value, Code>>> {
    let given = RefCell::new(vec![None; asked.len()]);
    let give = |at: usize, answer: Result<Answer, LookupError>| {
        let answer = answer.map(|answer| answer.value).map_err(|err| err.code);
        let before = given.borrow_mut()[at].replace(answer);
        assert_eq!(before, None, "one answer each");
    };
    let commands = SlotCommands::of(asked);
    let (commands, mut delivery) = Delivery::new(commands, asked, Answers::new(&give));
    for (at, command) in commands.iter().enumerate().rev() {
        if let Some(reply) = reply(command) {
            delivery.settle(at, reply);
        }
    }
    given.take()
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
    assert_eq!(commands.commands.len(), 6);
    for command in &commands.commands {
        let first = keys(&command.packed, false).next().expect("a key");
        assert_eq!(command.slot, slot::of(first));
    }
    let want = [
        Ok("k:1".into()),
        Ok(vec!["k:3", "k:1", "k:2", "k:1"].into()),
        Ok(Value::List(vec![])),
        Ok("k:1".into()),
        Err(Code::LookupBadParam),
        Ok("k:1".into()),
        Ok(vec!["k:1", "k:2"].into()),
    ];
    assert_eq!(
        answers(&asked, |command| Some(Ok(echo(command)))),
        want.map(Some)
    );
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
    let reply = |command: &SlotCommand| {
        Some(if command.slot == slot::of(b"a") {
            Err(LookupError::new(Code::LookupUnavailable, "away"))
        } else if command.slot == slot::of(b"d\r\n$1") {
            Ok(Reply::Error("NOPERM x".into()))
        } else {
            Ok(echo(command))
        })
    };
    let codes = answers(&asked, reply)
        .into_iter()
        .map(|answer| answer.expect("an answer").err());
    let codes: Vec<_> = codes.collect();
    let want = [
        Some(Code::LookupUnavailable),
        None,
        None,
        Some(Code::LookupRefused),
    ];
    assert_eq!(codes, want);
}

#[test]
fn a_slot_without_a_reply_keeps_only_those_waiting_that_need_it() {
    let mget = compiled("mget = '{keys}'").lookup;
    let params: [&[Value]; 3] = [
        &[vec!["a", "b"].into()],
        &[vec!["b", "c"].into()],
        &[vec!["c"].into()],
    ];
    let asked = params.map(|params| BatchedAsk {
        lookup: &mget,
        params,
    });
    let reply = |command: &SlotCommand| (command.slot != slot::of(b"a")).then(|| Ok(echo(command)));
    let want = [
        None,
        Some(Ok(vec!["b", "c"].into())),
        Some(Ok(vec!["c"].into())),
    ];
    assert_eq!(answers(&asked, reply), want);
}

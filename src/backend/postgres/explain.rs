//! Plans a statement for `check --connect`, which does not run it: finds missing privileges, and parts that write.
//!
//! Preparing a statement checks neither. Planning it with `explain` does: the server checks the privileges before it
//! shows a plan. The parameters are null. What can't be planned at all, such as `show`, is left to the first call.

use serde_json::Value as Json;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::decode::Cell;
use super::encode::Param;
use super::failure::Failure;
use crate::backend::LookupError;
use crate::backend::examine::Refusal;
use crate::error::Code;

/// Why the server will not run `sql`, if its plan shows that.
pub(super) async fn refusal(client: &Client, sql: &str) -> Result<Option<Refusal>, LookupError> {
    match plan(client, sql).await {
        Ok(plan) => Ok(forbidden_part(&plan).map(|(what, help)| refused(what.into(), help))),
        Err(err) => match err.as_db_error() {
            Some(said) if *said.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                let message = format!("PostgreSQL: {} (42501)", said.message());
                let help = "grant what the statement reads to the account of the backend";
                Ok(Some(refused(message, help)))
            }
            Some(_) => Ok(None),
            None => Err(Failure::from(&err).error),
        },
    }
}

async fn plan(client: &Client, sql: &str) -> Result<Json, Error> {
    let explain = format!("explain (format json, costs off) {sql}");
    let prepared: Statement = client.prepare(&explain).await?;
    let null = Param(None);
    let params: Vec<&(dyn ToSql + Sync)> = prepared.params().iter().map(|_| &null as _).collect();
    let rows = client.query(&prepared, &params).await?;
    let read = |row: &Row| serde_json::from_slice(row.try_get::<_, Cell<'_>>(0).ok()?.0?).ok();
    Ok(rows.first().and_then(read).unwrap_or_default())
}

fn refused(message: String, help: &str) -> Refusal {
    Refusal {
        key: "sql".into(),
        code: Code::ConfigBadValue,
        message,
        help: Some(help.into()),
    }
}

/// The first part of a plan that a read-only session refuses, and what to write instead.
fn forbidden_part(plan: &Json) -> Option<(&'static str, &'static str)> {
    match plan {
        Json::Array(parts) => parts.iter().find_map(forbidden_part),
        Json::Object(fields) => {
            let node = fields.get("Node Type").and_then(Json::as_str);
            match node {
                Some("ModifyTable") => Some((
                    "the statement writes, and sessions are read-only",
                    "a lookup is one `select` statement, in which nothing inserts, updates or deletes",
                )),
                Some("LockRows") => Some((
                    "the statement locks rows, and sessions are read-only",
                    "leave out `for update` and `for share`",
                )),
                _ => fields.values().find_map(forbidden_part),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_forbidden_part_is_found_at_any_depth() {
        let plan = |inner: Json| json!([{ "Plan": { "Node Type": "Limit", "Plans": [inner] } }]);
        let scan = plan(json!({ "Node Type": "Seq Scan", "Filter": "(a = 'ModifyTable')" }));
        assert_eq!(forbidden_part(&scan), None);
        for (node, word) in [("ModifyTable", "writes"), ("LockRows", "locks")] {
            let (what, _) = forbidden_part(&plan(json!({ "Node Type": node }))).unwrap();
            assert!(what.contains(word), "{what}");
        }
    }
}

//! `tributary explain --live`: which lookups decide how long the calls of a running server take.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::admin_port::AdminPort;
use super::error::CommandError;

/// The table of one method, or of all if none is named.
pub(super) fn tables(port: &AdminPort, method: Option<&str>) -> Result<String, CommandError> {
    let query = method.map(|method| format!("?method={}", encoded(method)));
    let gains = port.json(&format!("/gains{}", query.unwrap_or_default()))?;
    let methods = gains["methods"].as_array();
    let tables: Vec<String> = methods.into_iter().flatten().map(table).collect();
    if tables.is_empty() {
        let of = method.map_or_else(String::new, |method| format!(" of `{method}`"));
        return Err(CommandError::failed(format_args!(
            "the server has examined no calls{of} in the last minutes"
        )));
    }
    Ok(tables.join("\n"))
}

/// A name may have any character that a path may have, and the colon after that of its service.
fn encoded(method: &str) -> String {
    percent_encoding::utf8_percent_encode(method, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn table(of: &Json) -> String {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let number = |json: &Json| json.as_u64().unwrap_or_default();
    let calls = number(&of["calls"]);
    let mut lookups: Vec<&Json> = of["lookups"].as_array().into_iter().flatten().collect();
    lookups.sort_by_key(|lookup| {
        std::cmp::Reverse((number(&lookup["gain_us"]), number(&lookup["decided"])))
    });
    let mut out = format!(
        "{}: {calls} calls examined, {} on average\n\n",
        text(&of["method"]),
        ms(number(&of["mean_us"]))
    );
    let width = lookups
        .iter()
        .map(|lookup| text(&lookup["name"]).chars().count());
    let width = width.max().unwrap_or(0).max("lookup".len());
    let head = ("lookup", "decides", "runs", "10 ms faster gains");
    let mut row = |name: &str, decides: &str, runs: &str, gains: &str| {
        writeln!(
            out,
            "  {name:width$}  {decides:>7}  {runs:>10}  {gains:>18}"
        )
        .expect("a string takes what is written to it");
    };
    row(head.0, head.1, head.2, head.3);
    for lookup in lookups {
        let share = number(&lookup["decided"]) * 100 / calls.max(1);
        let gain = match number(&lookup["gain_us"]) {
            0 => "nothing".to_owned(),
            gain => ms(gain),
        };
        row(
            &text(&lookup["name"]),
            &format!("{share} %"),
            &ms(number(&lookup["run_us"])),
            &gain,
        );
    }
    out
}

fn ms(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lookup_that_gains_most_is_first() {
        let of = json!({ "method": "get", "calls": 50, "mean_us": 41_230, "lookups": [
            { "name": "airline", "decided": 0, "run_us": 1_500, "gain_us": 0 },
            { "name": "plane", "decided": 49, "run_us": 40_100, "gain_us": 9_870 },
        ] });
        let expected = "\
get: 50 calls examined, 41.23 ms on average

  lookup   decides        runs  10 ms faster gains
  plane       98 %    40.10 ms             9.87 ms
  airline      0 %     1.50 ms             nothing
";
        assert_eq!(table(&of), expected);
    }
}

//! One table as text, where there is no terminal.

use std::fmt::Write as _;

use super::figures::Figures;
use super::view::{ms, rate};

/// The server, its methods, stores and event loops.
pub(super) fn table(figures: &Figures) -> String {
    let mut text = format!(
        "tributary {}: {}, {} calls/s, {} in flight, {} connections\n",
        figures.version,
        figures.state,
        rate(figures.rate),
        figures.calls_in_flight,
        figures.connections
    );
    let methods = figures.methods.iter().map(|of| {
        let time = |of: Option<u64>| of.map_or_else(|| "-".into(), ms);
        let mut row = vec![of.name.clone()];
        row.extend([of.rate, of.partial, of.failed].map(rate));
        row.extend([of.p50, of.p99].map(time));
        row
    });
    let head = ["method", "calls/s", "partial/s", "failed/s", "p50", "p99"];
    add(&mut text, &head, methods.collect());
    let stores = figures.stores.iter().map(|of| {
        let number = |of: Option<u64>| of.map_or_else(String::new, |of| of.to_string());
        let name = match &of.endpoint {
            Some(endpoint) => format!("  {endpoint}"),
            None => of.backend.clone(),
        };
        vec![
            name,
            of.state.to_owned(),
            rate(of.rate),
            rate(of.failed),
            number(of.in_flight),
            number(of.waiting),
        ]
    });
    let head = [
        "store",
        "state",
        "lookups/s",
        "failed/s",
        "in flight",
        "waiting",
    ];
    add(&mut text, &head, stores.collect());
    let loops = figures.loops.iter().map(|of| {
        let busy = format!("{:.0} %", of.busy * 100.0);
        vec![of.number.clone(), busy, ms(of.lag_us), ms(of.lag_max_us)]
    });
    add(
        &mut text,
        &["loop", "busy", "lag", "largest lag"],
        loops.collect(),
    );
    let refused = figures.refused.iter();
    let refused = refused.map(|(reason, of)| vec![reason.clone(), rate(*of)]);
    let refused: Vec<Vec<String>> = refused.collect();
    if !refused.is_empty() {
        add(&mut text, &["refused or left out", "per second"], refused);
    }
    text
}

/// Adds a table whose first column is on the left and whose others are on the right.
fn add(text: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    let head: Vec<String> = head.iter().map(|&head| head.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows[0].len();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    text.push('\n');
    for row in &rows {
        let mut line = format!("{:width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(line, "  {cell:>width$}").expect("a string takes what is written to it");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::sample;
    use super::*;

    #[test]
    fn everything_is_in_columns() {
        let text = table(&Figures::between(&sample(0), &sample(2)));
        insta::assert_snapshot!(text, @r"
        tributary 0.1.0: ready, 1110 calls/s, 12 in flight, 4 connections

        method        calls/s  partial/s  failed/s      p50      p99
        getAirport        800          0         0  0.50 ms  0.99 ms
        getBoard          200         20         0  55.0 ms  99.1 ms
        getDeparture      110          0        10  5.50 ms  9.91 ms
        neverCalled         0          0         0        -        -

        store              state  lookups/s  failed/s  in flight  waiting
        ops                   up       2400         0          3        0
        weather             down        620        20          3        0
          10.0.0.1:80         up        300         0
          10.0.0.2:80  not asked        320        20

        loop  busy      lag  largest lag
        0     42 %  0.12 ms      4.30 ms

        refused or left out  per second
        overloaded: waiting          14
        ");
    }
}

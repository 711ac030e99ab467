//! Who contacted whom, by the packets of a machine.

use super::super::text;
use crate::network::flows::{Answer, Direction, Flow, FlowsOfMachine};
use crate::size::Size;
use maud::{Markup, html};
use std::collections::HashMap;

/// Rows that are shown of one kind; more are counted, and stand in the file.
const MOST: usize = 60;

/// What a machine began itself comes first.
const GROUPS: [(Direction, &str); 3] = [
    (Direction::Outgoing, "it contacted"),
    (Direction::Incoming, "it was contacted"),
    (Direction::Between, "between others"),
];

/// Flows that differ in the port of who began them only.
struct Row<'f> {
    flow: &'f Flow,
    flows: usize,
    packets: u64,
    bytes: u64,
}

pub(super) fn render(machine: &FlowsOfMachine) -> Markup {
    html! {
        div.drift {
            p.about { span.machine { (text::line(&machine.machine)) } @if machine.flows.is_empty() { " no packets" } }
            @for (direction, words) in GROUPS {
                @let rows = rows(&machine.flows, direction);
                @if !rows.is_empty() {
                    details.changes open[direction == Direction::Outgoing] {
                        summary { (words) " (" (rows.len()) ")" }
                        div.wide tabindex="0" { (table(&rows, direction)) }
                        @if rows.len() > MOST { p { "and " (rows.len() - MOST) " more" } }
                    }
                }
            }
            @for cut in &machine.cuts { p.by { (text::line(&cut.file)) ": " (text::line(&cut.cut.to_string())) } }
        }
    }
}

fn table(rows: &[Row<'_>], direction: Direction) -> Markup {
    html! {
        table.flows {
            thead { tr { th { "first" } @if direction != Direction::Outgoing { th { "from" } } th { "to" } th { "flows" } th { "packets" } th { "bytes" } th { "answer" } } }
            tbody {
                @for Row { flow, flows, packets, bytes } in rows.iter().take(MOST) {
                    tr.(class(flow.answer)) {
                        td { (flow.first.map_or_else(|| "–".to_owned(), |at| at.strftime("%H:%M:%S%.3f").to_string())) }
                        @if direction != Direction::Outgoing { td { (who(flow)) } }
                        td { code { (text::line(&flow.to.to_string())) "/" (flow.protocol) } @if flow.to.name.is_some() { " " (flow.to.address) } }
                        td { (flows) }
                        td { (packets) }
                        td { (Size::bytes(*bytes)) }
                        td { (flow.answer) }
                    }
                }
            }
        }
    }
}

/// Who began, without the port, which says nothing.
fn who(flow: &Flow) -> String {
    flow.from.name.as_deref().map_or_else(|| flow.from.address.to_string(), |name| text::line(name).into())
}

fn class(answer: Answer) -> &'static str {
    match answer {
        Answer::Answered => "answered",
        Answer::Refused => "refused",
        Answer::None => "silent",
    }
}

fn rows(flows: &[Flow], direction: Direction) -> Vec<Row<'_>> {
    let (mut rows, mut places): (Vec<Row<'_>>, HashMap<_, usize>) = Default::default();
    for flow in flows.iter().filter(|flow| flow.direction == direction) {
        let (packets, bytes) = (flow.sent.packets + flow.received.packets, flow.sent.bytes + flow.received.bytes);
        let key = (flow.from.address, flow.to.address, flow.to.port, flow.protocol, flow.answer);
        let place = *places.entry(key).or_insert(rows.len());
        if place == rows.len() {
            rows.push(Row { flow, flows: 0, packets: 0, bytes: 0 });
        }
        let row = &mut rows[place];
        (row.flows, row.packets, row.bytes) = (row.flows + 1, row.packets + packets, row.bytes + bytes);
    }
    rows
}

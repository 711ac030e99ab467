//! Who contacted whom, by the packets of a machine.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

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
    flow.from.name.as_deref().map_or_else(|| flow.from.address.to_string(), text::line)
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
        let mut count = flow.sent;
        count.add(flow.received);
        let key = (flow.from.address, flow.to.address, flow.to.port, flow.protocol, flow.answer);
        let place = *places.entry(key).or_insert(rows.len());
        if place == rows.len() {
            rows.push(Row { flow, flows: 0, packets: 0, bytes: 0 });
        }
        let row = &mut rows[place];
        row.flows = row.flows.saturating_add(1);
        row.packets = row.packets.saturating_add(count.packets);
        row.bytes = row.bytes.saturating_add(count.bytes);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::flows::{Beginning, Count, Cut, CutCapture, Party, Protocol};

    fn flow(direction: Direction, name: Option<&str>, own_port: u16, answer: Answer) -> Flow {
        let party = |address: &str, port, name: Option<&str>| Party {
            address: address.parse().unwrap(),
            port: Some(port),
            name: name.map(str::to_owned),
        };
        let at = Some("2026-01-02T03:04:05.678Z".parse().unwrap());
        Flow {
            direction,
            from: party("10.20.0.10", own_port, Some("mail")),
            to: party("10.20.0.20", 636, name),
            protocol: Protocol::Tcp,
            sent: Count { packets: 4, bytes: 400 },
            received: Count { packets: 3, bytes: 700 },
            answer,
            beginning: Beginning::Seen,
            first: at,
            last: at,
            contact: at,
        }
    }

    fn machine(flows: Vec<Flow>) -> FlowsOfMachine {
        let cut = Cut { offset: 100, reason: "the file ends in the middle of it".into() };
        let cuts = vec![CutCapture { file: "capture-mail-1.pcap".into(), cut }];
        FlowsOfMachine {
            machine: "mail".into(),
            addresses: Vec::new(),
            captures: Vec::new(),
            frames: std::collections::BTreeMap::new(),
            cuts,
            flows,
        }
    }

    #[test]
    fn flows_that_differ_in_their_own_port_are_one_row() {
        let name = Some("directory");
        let flows = vec![
            flow(Direction::Outgoing, name, 40000, Answer::Answered),
            flow(Direction::Outgoing, name, 40001, Answer::Answered),
            flow(Direction::Outgoing, name, 40002, Answer::None),
            flow(Direction::Incoming, None, 40003, Answer::Refused),
        ];
        insta::assert_snapshot!(render(&machine(flows)).into_string().replace("><", ">\n<"));
    }

    #[test]
    fn a_name_is_text() {
        let name = "<script>alert(1)</script>\u{1b}[31m";
        let page = render(&machine(vec![flow(Direction::Between, Some(name), 1, Answer::None)])).into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn many_rows_are_counted() {
        let mut flows: Vec<_> = (0..100).map(|_| flow(Direction::Outgoing, None, 1, Answer::None)).collect();
        for (port, flow) in (0..).zip(&mut flows) {
            flow.to.port = Some(port);
        }
        let page = render(&machine(flows)).into_string();
        assert_eq!(page.matches("<tr").count(), MOST + 1);
        assert!(page.contains("and 40 more"));
    }
}

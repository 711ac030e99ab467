//! What steps about a machine's packets are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lab::{HOST, Topology};
use crate::network::flows::{Destination, Host};
use crate::scenario::format::action::Action;
use crate::scenario::format::step::{Step, check_machine};
use crate::size::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A moment from which on all packets of a machine, or of all machines, are captured.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// What the moment is called. The files stand in the results, as `capture-mail-1.pcap`; once the lab is gone, with
    /// the host's times.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// How large each file may become, as in `"64MiB"`; without it, `REHEARSAL_CAPTURE_LIMIT` or 256 MiB. A capture that reaches
    /// its limit is ended there, and the scenario fails at its end, unless a step says that it is `full`.
    #[schemars(with = "Option<String>")]
    pub limit: Option<Spanned<String>>,
}

impl Capture {
    /// The limit is a size.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if let Some(limit) = &self.limit {
            let size = limit.get_ref().parse::<Size>();
            diagnostics.take(size.map_err(|error| Diagnostic::new(error.to_string(), limit.span())));
        }
    }
}

/// Whom the machine contacted of its own accord. A full name of the lab means the address that it is for, and those that the machine
/// got for it from DNS. A contact that may not be is told with its time, the step during which it was made, and the process that has a
/// socket for it, if one still has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Since this moment, which an earlier `do.capture` has named.
    #[schemars(with = "String")]
    pub since: Spanned<String>,
    /// Nobody else was contacted. Each is written as `directory:636/tcp`, `192.0.2.7:53/udp`, `[2001:db8::1]:443/tcp` or
    /// `directory/icmp`; `directory` is whatever it is. `lab` is the host itself, where probes come from. ARP, DHCP, neighbour discovery
    /// and what answers somebody are no contacts.
    #[schemars(with = "Option<Vec<String>>")]
    pub only: Option<Vec<Spanned<String>>>,
    /// All of these were contacted, and nobody else; `[]` says that nobody was.
    #[schemars(with = "Option<Vec<String>>")]
    pub exactly: Option<Vec<Spanned<String>>>,
    /// `{ on = "edge", prefix = "refused " }`: what the packet filter of that machine logs tells the same as the packets. Whatever
    /// nobody answered stands in it, and of all that stands in it there are packets.
    pub logged: Option<FilterLog>,
    /// `[{ on = "edge", comment = "refused", to = ["stranger.example:80/tcp"] }]`: what a rule of that machine's packet filter has
    /// counted is what the machine sent. The rule is loaded after the capture has begun.
    #[serde(default)]
    pub counted: Vec<FilterCounter>,
    /// The machine's capture has reached its limit, and was ended there: what is judged is all before that.
    #[serde(default)]
    pub full: bool,
}

/// Who asked whom; without `on`, by the packets of all machines.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowsSince {
    /// Since this moment, which an earlier `do.capture` has named. Each contact is shown once, by name, as
    /// `mail → directory:636/tcp, answered`; times, counts and order are different in each run, and what is for all of a network is
    /// nobody's.
    #[schemars(with = "String")]
    pub since: Spanned<String>,
}

/// What a packet filter logs of what it refuses.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterLog {
    /// The machine whose kernel filters.
    #[schemars(with = "String")]
    pub on: Spanned<String>,
    /// What its lines begin with, as in `log prefix "perimeter-refused "` of nftables.
    #[schemars(with = "String")]
    pub prefix: Spanned<String>,
}

/// What a packet filter counts: with `nft list ruleset`, the packets of the rules that have a comment. Of a contact that nobody
/// answered it counts every packet; of another one the first, and maybe the rest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterCounter {
    /// The machine whose kernel filters.
    #[schemars(with = "String")]
    pub on: Spanned<String>,
    /// The comment of the rule, or of several, as in `counter drop comment "refused"`.
    #[schemars(with = "String")]
    pub comment: Spanned<String>,
    /// What the rule is for, written as in `only`: nobody else sends anything by it.
    #[schemars(with = "Vec<String>")]
    pub to: Spanned<Vec<Spanned<String>>>,
}

impl Egress {
    /// Those that it names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Spanned<String>> {
        [&self.only, &self.exactly].into_iter().flatten().flatten()
    }

    /// It has one list, and each in it is somebody.
    pub(crate) fn check(&self, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
        if self.only.is_some() == self.exactly.is_some() {
            let diagnostic = Diagnostic::new("this step needs one list, `only` or `exactly`", self.since.span());
            diagnostics.push(diagnostic.with_help("`exactly = []` says that nobody was contacted"));
        }
        if let Some(log) = &self.logged {
            check_machine(&log.on, lab, diagnostics);
            if log.prefix.get_ref().trim().is_empty() {
                diagnostics.push(Diagnostic::new(
                    "without a prefix nobody knows which lines are the filter's",
                    log.prefix.span(),
                ));
            }
        }
        for counter in &self.counted {
            check_machine(&counter.on, lab, diagnostics);
            if counter.to.get_ref().is_empty() {
                diagnostics.push(Diagnostic::new("a rule for nobody counts nothing", counter.to.span()));
            }
        }
        let counted = self.counted.iter().flat_map(|counter| counter.to.get_ref());
        for text in self.named().chain(counted) {
            let parsed = text.get_ref().parse::<Destination>();
            let parsed =
                parsed.map_err(|error| Diagnostic::new(error.to_string(), text.span()).with_help(Destination::FORM));
            if let (Some(destination), Some(lab)) = (diagnostics.take(parsed), lab) {
                check_host(&destination.host, text, lab, diagnostics);
            }
        }
    }
}

/// The moment that a step looks back to, by packets.
fn looks_back_to(action: &Action) -> Option<&Spanned<String>> {
    match action {
        Action::Egress(Egress { since, .. }) | Action::Flows(FlowsSince { since }) => Some(since),
        _ => None,
    }
}

/// A name is one of the lab's.
fn check_host(host: &Host, text: &Spanned<String>, lab: &Topology, diagnostics: &mut Diagnostics) {
    let Host::Named(name) = host else { return };
    let hosts = lab.hosts();
    let short = hosts.iter().map(|host| host.name.as_str());
    let full = hosts.iter().flat_map(|host| std::iter::once(&host.fqdn).chain(host.wiring.names.keys()));
    let mut known = short.chain([HOST]).chain(full.map(String::as_str));
    if !known.clone().any(|known| known == name) {
        let message = format!("there is nobody called `{name}` in lab `{}`", lab.name);
        diagnostics.push(Diagnostic::unknown(message, text.span(), name, &mut known));
    }
}

/// Moments have a name each, and one that a step looks back to was made by an earlier step, for its machine.
pub(crate) fn check_captures<'s>(steps: impl Iterator<Item = &'s Step>, diagnostics: &mut Diagnostics) {
    let mut made: Vec<(&str, Option<&str>)> = Vec::new();
    for step in steps {
        if let Action::Capture(capture) = &step.action {
            let name = capture.name.get_ref().as_str();
            if made.iter().any(|(known, _)| *known == name) {
                diagnostics.push(Diagnostic::new("an earlier capture has this name", capture.name.span()));
            }
            made.push((name, step.on.as_ref().map(|on| on.get_ref().as_str())));
        }
        if let Some(since) = looks_back_to(&step.action) {
            let (name, machine) = (since.get_ref(), step.on.as_ref().map(|on| on.get_ref().as_str()));
            let found: Vec<_> = made.iter().filter(|(known, _)| known == name).collect();
            if found.is_empty() {
                let message = format!("no earlier step makes a capture `{name}`");
                let known = made.iter().map(|(known, _)| *known);
                diagnostics.push(Diagnostic::unknown(message, since.span(), name, known));
            } else if !found.iter().any(|(_, on)| on.is_none() || *on == machine) {
                let of = machine.unwrap_or("all machines");
                let diagnostic = Diagnostic::new(format!("capture `{name}` is not of {of}"), since.span());
                diagnostics.push(diagnostic.with_help("a capture without `on` is of all machines"));
            }
        }
    }
}

/// Whether a later step looks back to packets from before the step `index`: these stand only in the results of the run that has
/// carried it out.
pub(crate) fn looks_back_over(steps: &[Step], index: usize) -> bool {
    let is_before = |name: &str| {
        steps[..=index].iter().any(|step| matches!(&step.action, Action::Capture(made) if made.name.get_ref() == name))
    };
    steps[index..].iter().filter_map(|step| looks_back_to(&step.action)).any(|since| is_before(since.get_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        step: Vec<Step>,
    }

    const STEPS: &str = "[[step]]\nname = 'a'\ndo.capture = { name = 'all' }\n\
                         [[step]]\nname = 'b'\ndo.checkpoint = { name = 'kept', keep = true }\n\
                         [[step]]\nname = 'c'\non = 'mail'\ndo.capture = { name = 'later' }\n\
                         [[step]]\nname = 'd'\non = 'mail'\ndo.egress = { since = 'later', exactly = [] }\n";

    fn steps(text: &str) -> Vec<Step> {
        toml::from_str::<File>(text).unwrap().step
    }

    #[rstest::rstest]
    #[case::right("", "", &[])]
    #[case::unknown("since = 'later'", "since = 'latter'", &["no earlier step makes a capture `latter`"])]
    #[case::too_late("name = 'later'", "name = 'other'", &["no earlier step makes a capture `later`"])]
    #[case::twice("name = 'later'", "name = 'all'", &["an earlier capture has this name", "no earlier step makes a capture `later`"])]
    #[case::of_another("on = 'mail'\ndo.egress", "on = 'directory'\ndo.egress", &["capture `later` is not of directory"])]
    #[case::of_one_for_all("on = 'mail'\ndo.egress = { since = 'later', exactly = [] }", "do.flows = { since = 'later' }", &["capture `later` is not of all machines"])]
    #[case::flows("do.egress = { since = 'later', exactly = [] }", "do.flows = { since = 'later' }", &[])]
    #[case::flows_of_all("on = 'mail'\ndo.egress = { since = 'later', exactly = [] }", "do.flows = { since = 'all' }", &[])]
    #[case::unknown_flows("on = 'mail'\ndo.egress = { since = 'later', exactly = [] }", "do.flows = { since = 'al' }", &["no earlier step makes a capture `al`"])]
    #[case::of_all("on = 'mail'\ndo.egress = { since = 'later'", "on = 'directory'\ndo.egress = { since = 'all'", &[])]
    fn moments_are_known(#[case] text: &str, #[case] other: &str, #[case] expected: &[&str]) {
        let mut diagnostics = Diagnostics::default();
        check_captures(steps(&STEPS.replacen(text, other, 1)).iter(), &mut diagnostics);
        let said = format!("{diagnostics:?}");
        assert_eq!(diagnostics.is_empty(), expected.is_empty(), "{said}");
        assert!(expected.iter().all(|words| said.contains(words)), "{said}");
    }

    #[rstest::rstest]
    #[case::no_list("", "needs one list")]
    #[case::two_lists(", only = [], exactly = []", "needs one list")]
    #[case::nonsense(", only = ['directory:636']", "`directory:636` is no destination: a port needs its protocol")]
    #[case::counted_nonsense(
        ", only = [], counted = [{ on = 'edge', comment = 'refused', to = ['directory:636'] }]",
        "`directory:636` is no destination"
    )]
    #[case::counted_for_nobody(
        ", only = [], counted = [{ on = 'edge', comment = 'refused', to = [] }]",
        "a rule for nobody counts nothing"
    )]
    fn lists_are_lists_of_destinations(#[case] lists: &str, #[case] words: &str) {
        let step = &steps(&STEPS.replacen(", exactly = []", lists, 1))[3];
        let mut diagnostics = Diagnostics::default();
        step.action.check(None, &mut diagnostics);
        assert!(format!("{diagnostics:?}").contains(words), "{diagnostics:?}");
    }

    #[rstest::rstest]
    #[case::later("later", false)]
    #[case::earlier("all", true)]
    fn packets_from_before_a_checkpoint_are_not_kept_with_it(#[case] since: &str, #[case] expected: bool) {
        let egress = "do.egress = { since = 'later', exactly = [] }";
        for look in [
            format!("do.egress = {{ since = '{since}', exactly = [] }}"),
            format!("do.flows = {{ since = '{since}' }}"),
        ] {
            assert_eq!(looks_back_over(&steps(&STEPS.replacen(egress, &look, 1)), 1), expected);
        }
    }
}

//! The state of a machine's services, as a text that is the same as long as nothing changes.

use crate::machine::quoted;
use crate::scenario::format::step::ServiceState;
use crate::scenario::verbs::{Done, StepContext, StepError};
use std::fmt::Write as _;

/// Shows a service's PAM file without comments, and then those that it includes.
const PAM: &str = r"
pam() {
    for known in $shown; do [ $known != $1 ] || return 0; done
    shown=$shown' '$1
    echo /etc/pam.d/$1:
    if [ ! -e /etc/pam.d/$1 ]; then echo '    is not there'; return 0; fi
    sed -E 's/#.*//; s/[[:space:]]+/ /g; s/ $//; /^$/d; s/^/    /' /etc/pam.d/$1
    for file in $(sed -nE 's/#.*//; s/^@include[[:space:]]+//p; s/^-?(auth|account|password|session)[[:space:]]+(include|substack)[[:space:]]+//p' /etc/pam.d/$1); do
        pam $file
    done
}
shown=
";

impl StepContext<'_> {
    pub(crate) async fn service_state(&self, on: &str, state: &ServiceState) -> Result<Done, StepError> {
        let text = self.machine(on)?.succeed(&script(state), self.deadline()).await?;
        let asked = format!("the state of {on}");
        Ok(Done { asked, answered: format!("{} lines", text.lines().count()), transcript: Some(text) })
    }
}

/// One command for all.
fn script(ServiceState { units, pam, postconf, packages }: &ServiceState) -> String {
    let words = |list: &[String]| list.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let mut script = PAM.to_owned();
    if !units.is_empty() {
        let _ = write!(
            script,
            "echo units:\nfor unit in {}; do echo \"    $unit\" $(systemctl show --value --property LoadState,UnitFileState,ActiveState,SubState -- $unit); done\n",
            words(units)
        );
    }
    script.extend(pam.iter().map(|service| format!("pam {}\n", quoted(service))));
    if *postconf {
        script += "echo postconf -n:\npostconf -n | sed 's/^/    /'\n";
    }
    if !packages.is_empty() {
        // Of a system with rpm, dpkg knows nothing. Updates within a release change what stands behind the second number.
        let _ = write!(
            script,
            "echo packages:\nfor package in {}; do version=$(rpm -q --queryformat '%{{VERSION}}-%{{RELEASE}}' $package 2>/dev/null) || version=$(dpkg-query -W -f '${{Version}}' $package 2>/dev/null) || version='is not installed'; echo \"    $package $version\"; done | sed -E 's/ ([0-9]+:)?([0-9]+\\.[0-9]+).*/ \\2/'\n",
            words(packages)
        );
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pam_files_are_shown_with_those_that_they_include() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("imap", "# words\n@include  common\nauth   required\tpam_sss.so # x\n");
        write("common", "auth include imap\n-account required pam_unix.so\n");
        let state =
            ServiceState { units: vec![], pam: vec!["imap".into(), "smtp".into()], postconf: false, packages: vec![] };
        let script = script(&state).replace("/etc/pam.d/", &format!("{}/", directory.path().display()));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace(&format!("{}/", directory.path().display()), "");
        insta::assert_snapshot!(text, @r"
        imap:
            @include common
            auth required pam_sss.so
        common:
            auth include imap
            -account required pam_unix.so
        smtp:
            is not there
        ");
    }
}

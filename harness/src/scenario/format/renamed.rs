//! Keys, verbs and values of an earlier form of the files, and what they are called now. A file in the old form gets an error
//! that names the new one.

/// Keys and verbs: the old name, and the new one.
const NAMES: [(&str, &str); 14] = [
    ("called", "label"),
    ("came-true", "verify-prediction"),
    ("cause", "diagnose"),
    ("contains", "output_contains"),
    ("forecast", "predict"),
    ("forecast", "prediction"),
    ("keep", "backup"),
    ("lacks", "output_lacks"),
    ("overhear", "no-secret-in-processes"),
    ("remembering", "keep_test_state"),
    ("remove", "delete"),
    ("requests", "ldap-requests"),
    ("says", "output_contains"),
    ("state", "service-state"),
];

/// What `old` is called now, if that is one of the names that can stand here.
pub(crate) fn name(old: &str, known: &[&str]) -> Option<&'static str> {
    NAMES.iter().find(|(was, is)| *was == old && known.contains(is)).map(|(_, is)| *is)
}

/// What is written instead of a value, if it is one of an earlier form.
pub(crate) fn value(old: &str, known: &[&str]) -> Option<&'static str> {
    (old == "later" && known == ["imap", "spool"]).then_some("leave `seen` out, and write `wait = false`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::verb("keep", &["backup", "run"], Some("backup"))]
    #[case::one_of_two("forecast", &["name", "prediction"], Some("prediction"))]
    #[case::elsewhere("keep", &["name"], None)]
    #[case::never_was("kept", &["backup"], None)]
    fn an_old_name_has_a_new_one_where_that_can_stand(
        #[case] old: &str,
        #[case] known: &[&str],
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(name(old, known), expected);
    }

    #[rstest::rstest]
    #[case::place("later", &["imap", "spool"], true)]
    #[case::something_else("later", &["zypper", "apt"], false)]
    #[case::no_old_value("sooner", &["imap", "spool"], false)]
    fn an_old_value_has_a_substitute_at_its_own_key(#[case] old: &str, #[case] known: &[&str], #[case] expected: bool) {
        assert_eq!(value(old, known).is_some(), expected);
    }
}

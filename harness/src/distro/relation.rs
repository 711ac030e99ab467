//! Relations between Debian packages, as they stand in a control file (deb-control(5), "Relationships").

/// How a version is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Comparison {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// One package, perhaps of a certain version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) version: Option<(Comparison, String)>,
}

/// Packages of which one is enough: `a | b`.
pub(super) type Alternatives = Vec<Relation>;

/// Reads a field such as `Depends`. Qualifiers of architectures (`:any`, `[amd64]`) and build profiles (`<…>`) say nothing
/// in a set of packages of one architecture, and are left out. What cannot be read is handed back as the error.
pub(super) fn parse(field: &str) -> Result<Vec<Alternatives>, String> {
    let groups = field.split(',').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.split('|').map(one).collect()).collect()
}

fn one(text: &str) -> Result<Relation, String> {
    let text = text.trim();
    let unreadable = || format!("`{text}` is no relation between packages");
    let end = text.find(|c: char| c.is_whitespace() || "([<".contains(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.split(':').next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(unreadable());
    }
    let version = match rest.split_once('(') {
        None => None,
        Some((_, rest)) => Some(comparison(rest.split_once(')').ok_or_else(unreadable)?.0).ok_or_else(unreadable)?),
    };
    Ok(Relation { name: name.to_owned(), version })
}

fn comparison(text: &str) -> Option<(Comparison, String)> {
    // `<` and `>` are obsolete ways to write `<=` and `>=`; no package of a release in use has them.
    const SIGNS: [(&str, Comparison); 5] = [
        ("<<", Comparison::Earlier),
        ("<=", Comparison::EarlierOrEqual),
        (">=", Comparison::LaterOrEqual),
        (">>", Comparison::Later),
        ("=", Comparison::Equal),
    ];
    let text = text.trim();
    let (sign, comparison) = SIGNS.into_iter().find(|(sign, _)| text.starts_with(sign))?;
    let version = text[sign.len()..].trim();
    (!version.is_empty()).then(|| (comparison, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn relation(name: &str, version: Option<(Comparison, &str)>) -> Relation {
        Relation { name: name.to_owned(), version: version.map(|(how, version)| (how, version.to_owned())) }
    }

    #[test]
    fn a_field_is_read() {
        let field =
            "libc6 (>= 2.34), perl:any, default-mta | mail-transport-agent,\n sysvinit-utils (<<3.05-4~) [amd64]";
        let expected = vec![
            vec![relation("libc6", Some((Comparison::LaterOrEqual, "2.34")))],
            vec![relation("perl", None)],
            vec![relation("default-mta", None), relation("mail-transport-agent", None)],
            vec![relation("sysvinit-utils", Some((Comparison::Earlier, "3.05-4~")))],
        ];
        assert_eq!(parse(field), Ok(expected));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[rstest]
    #[case::no_name("(>= 2)")]
    #[case::no_end("libc6 (>= 2")]
    #[case::no_version("libc6 (>=)")]
    #[case::another_sign("libc6 (~ 2)")]
    fn damage_is_named(#[case] field: &str) {
        assert!(parse(field).unwrap_err().contains("is no relation"));
    }
}

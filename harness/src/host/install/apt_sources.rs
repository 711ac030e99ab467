//! Where this host's apt takes packages from: sources.list(5), in both its formats.

use std::path::Path;

/// One entry that offers binary packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Where, as it stands there; one or more addresses.
    pub uris: String,
    /// `bookworm`, `bookworm-updates` …
    pub suites: Vec<String>,
    /// The keyring that signs it, as it stands there: a path, or the lines of a key.
    pub signed_by: Option<String>,
}

/// The entries of all source files below `root` that apt reads.
pub fn read(root: &Path) -> Vec<AptSource> {
    let mut files = vec![root.join("etc/apt/sources.list")];
    let parts = fs_err::read_dir(root.join("etc/apt/sources.list.d")).into_iter().flatten();
    files.extend(parts.filter_map(|entry| Some(entry.ok()?.path())));
    files.sort();
    let entries = files.iter().filter_map(|file| {
        let text = fs_err::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => Some(parse_lines(&text)),
            "sources" => Some(parse_stanzas(&text)),
            _ => None,
        }
    });
    entries.flatten().collect()
}

/// The one-line format: `deb [signed-by=…] uri suite component…`.
fn parse_lines(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<AptSource> {
    let rest = line.trim().strip_prefix("deb")?;
    // Not deb-src.
    let rest = rest.starts_with([' ', '\t', '[']).then(|| rest.trim_start())?;
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace();
    Some(AptSource {
        uris: words.next()?.to_owned(),
        suites: vec![words.next()?.to_owned()],
        signed_by: signed_by.map(str::to_owned),
    })
}

/// The deb822 format: stanzas of fields, whose values may go on in lines that begin with a blank.
fn parse_stanzas(text: &str) -> Vec<AptSource> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<AptSource> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line.trim_end());
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let words = |name| field(name).into_iter().flat_map(str::split_whitespace).map(str::to_owned);
    let disabled = field("enabled").is_some_and(|value| ["no", "false", "0", "off"].contains(&value));
    if disabled || !words("types").any(|word| word == "deb") {
        return None;
    }
    Some(AptSource {
        uris: words("uris").collect::<Vec<_>>().join(" "),
        suites: words("suites").collect(),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_and_what_is_off_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let parts = root.path().join("etc/apt/sources.list.d");
        std::fs::create_dir_all(&parts).unwrap();
        let write = |file: &str, text: &str| std::fs::write(root.path().join("etc/apt").join(file), text).unwrap();
        write(
            "sources.list",
            "# comment\ndeb-src http://a/debian bookworm main\n deb [arch=amd64 signed-by=/k.gpg] http://a/debian bookworm main\n",
        );
        write("sources.list.d/x.list.disabled", "deb http://x/debian bookworm main\n");
        write(
            "sources.list.d/y.sources",
            "Types: deb\n# note\nURIs: http://y/debian\nSuites: bookworm bookworm-updates\nSigned-By:\n -----BEGIN\n .\n -----END\n\n\
             Types: deb-src\nURIs: http://y/debian\nSuites: bookworm\n\nEnabled: no\nTypes: deb\nURIs: http://z/\nSuites: bookworm\n",
        );
        let sources = read(root.path());
        let debian = |uris: &str, suites: &[&str], signed_by: &str| AptSource {
            uris: uris.to_owned(),
            suites: suites.iter().map(|&suite| suite.to_owned()).collect(),
            signed_by: Some(signed_by.to_owned()),
        };
        assert_eq!(
            sources,
            [
                debian("http://a/debian", &["bookworm"], "/k.gpg"),
                debian("http://y/debian", &["bookworm", "bookworm-updates"], "\n -----BEGIN\n .\n -----END"),
            ]
        );
    }
}

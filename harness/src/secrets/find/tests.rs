use super::*;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use std::time::{Duration, Instant};

/// Files as programs have them, with invented values: a header `== path`, then the lines. What stands between « and » is
/// secret; the marks are taken out.
const SECRET: &str = include_str!("corpus/secret.txt");

/// Files in the same form in which nothing is secret.
const HARMLESS: &str = include_str!("corpus/harmless.txt");

/// The files of a corpus: path and text.
fn files(corpus: &str) -> Vec<(&str, &str)> {
    let files = corpus.split("== ").skip(1).filter_map(|file| file.split_once('\n'));
    files.map(|(path, text)| (path.trim(), text.trim_end_matches('\n'))).collect()
}

/// The text without marks, and the marked parts of it.
fn unmarked(text: &str) -> (String, Vec<&str>) {
    let secrets = text.split('«').skip(1).map(|part| part.split_once('»').expect("a mark is closed").0);
    (text.replace(['«', '»'], ""), secrets.collect())
}

#[test]
fn masks_every_secret_of_the_corpus() {
    let files = files(SECRET);
    assert!(files.len() >= 40, "only {} kinds", files.len());
    let mut leaks = Vec::new();
    for (path, text) in files {
        let (text, secrets) = unmarked(text);
        assert!(!secrets.is_empty(), "{path} has no mark");
        let masked = masked(path, &text);
        // One of a letter or two stands in other words, too.
        let lines = secrets.iter().flat_map(|secret| secret.lines()).map(str::trim).filter(|line| line.len() > 2);
        leaks.extend(
            lines.filter(|line| masked.contains(line)).map(|line| format!("{path} shows {line} in\n{masked}\n")),
        );
        assert!(masked.matches(MASK).count() >= secrets.len().min(text.lines().count()), "{path}:\n{masked}");
        assert!(is_private(path, text.as_bytes()), "{path} is not private");
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

/// What a lab redacts everywhere else: each secret is known by itself, without what stands around it.
#[test]
fn learns_every_secret_of_the_corpus() {
    let mut missing = Vec::new();
    for (path, text) in files(SECRET) {
        let (text, secrets) = unmarked(text);
        let known = super::super::Secrets::default();
        known.learn(secrets_in(path, &text));
        for secret in secrets.iter().flat_map(|secret| secret.lines()).map(str::trim).filter(|line| line.len() >= 3) {
            let seen = known.redact(&format!("a log says {secret} here"));
            if seen.contains(secret) {
                missing.push(format!("{path}: {secret}"));
            }
        }
    }
    assert!(missing.is_empty(), "not learned:\n{}", missing.join("\n"));
}

#[test]
fn leaves_harmless_lines_as_they_are() {
    let files = files(HARMLESS);
    assert!(files.len() >= 20, "only {} kinds", files.len());
    for (path, text) in files {
        assert_eq!(masked(path, text), text, "{path}");
        assert!(!is_private(path, text.as_bytes()), "{path} is private");
        assert_eq!(shown(path, text.as_bytes()).as_deref(), Some(text), "{path}");
    }
}

#[test]
fn knows_the_formats_of_the_harmless_corpus() {
    for (path, _) in files(HARMLESS) {
        assert!(is_known(path), "{path}");
    }
    for path in ["vendor/licence", "postfix/odd-table", "ssl/private/mail.key", "krb5.keytab"] {
        assert!(!is_known(path), "{path}");
    }
}

#[rstest::rstest]
#[case::a_key("x.pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\n")]
#[case::half_a_key("notes", "PRIVATE KEY-----\n")]
#[case::a_known_secret("ldap.secret", "x\n")]
#[case::no_text("notes", "a\0b")]
fn shows_nothing_of_a_file_that_is_a_secret(#[case] path: &str, #[case] text: &str) {
    assert_eq!(shown(path, text.as_bytes()), None);
}

#[rstest::rstest]
#[case("connect to ldaps://cn=x:tulip-9@directory failed", "connect to ldaps://cn=x:******@directory failed")]
#[case("password check failed for user alice", "password check failed for user alice")]
fn masks_the_shapes_in_words(#[case] words: &str, #[case] expected: &str) {
    assert_eq!(masked_words(words), expected);
}

/// What stands between « and » is secret, and nothing else is.
#[rstest::rstest]
#[case::empty_lines_before_a_value_mean_nothing_among_words("netrc", "password\n\n«tulip-9»\n")]
#[case::behind_an_empty_line_no_value_begins("x.conf", "password =\n\n  title\n")]
#[case::the_next_key_is_no_value("x.conf", "password =\nuser = alice\n")]
#[case::the_next_section_is_no_value("x.conf", "password =\n[mail]\n")]
#[case::the_next_key_of_a_block_is_no_value("x.yaml", "  password:\n  user: alice\n")]
#[case::the_next_line_of_a_block_is_the_value("x.yaml", "  password:\n  «tulip-9»\n")]
#[case::what_is_indented_more_is_a_part_of_a_value("x.conf", "password = «tulip»\n  «nine»\n  «more»\n")]
#[case::a_key_that_is_indented_more_is_no_part_of_a_value("x.conf", "password = «tulip»\n  user = alice\n")]
#[case::what_ends_in_its_line_does_not_go_on("x.xml", "<password>«tulip»</password>\n  <port>25</port>\n")]
#[case::what_a_comment_holds_does_not_go_on("x.conf", "# password = «tulip»\n  title\n")]
#[case::a_comment_says_how_a_login_is_written("postfix/sasl_passwd", "# host user:password\n")]
#[case::a_comment_says_how_a_table_is_written("postfix/odd-table", "#host user:password\n")]
#[case::of_a_login_without_a_colon_the_last_word("postfix/sasl_passwd", "host alice «tulip-9»\n")]
#[case::a_blank_may_have_several_bytes("postfix/sasl_passwd", "host alice\u{a0}«tulip-9»\n")]
#[case::many_blanks_are_as_one("psk.txt", "192.0.2.1   «tulip-9»\n")]
#[case::a_login_in_a_table("postfix/odd-table", "example.org alice:«tulip-9»\n")]
#[case::a_known_transport_is_no_login("postfix/transport", "example.org smtp:relay.example.net\n")]
#[case::before_an_address_in_brackets_is_no_login("postfix/transport", "example.org mine:[relay.example.net]\n")]
#[case::before_a_socket_is_no_login("postfix/transport", "example.org mine:unix:/run/mail\n")]
fn masks_what_is_secret_and_nothing_else(#[case] path: &str, #[case] marked: &str) {
    let (text, secrets) = unmarked(marked);
    let expected = secrets.iter().fold(marked.to_owned(), |text, secret| text.replace(&format!("«{secret}»"), MASK));
    assert_eq!(masked(path, &text), expected);
}

/// A line, and the forms in which its secrets may turn up elsewhere.
#[rstest::rstest]
#[case::a_first_word_that_may_be_all_of_it("password = tulip-9 nine\n", &["tulip-9 nine", "tulip-9"])]
#[case::a_first_word_of_a_language_is_none("password = tulip nine\n", &["tulip nine"])]
#[case::a_short_first_word_is_none("password = t-9 nine\n", &["t-9 nine"])]
#[case::a_mask_is_none("password = ******\n", &[])]
#[case::two_side_by_side_are_known_each_by_itself("ghp_0123456789ab$1$tulip\n", &["ghp_0123456789ab", "$1$tulip"])]
fn a_secret_is_known_in_its_forms(#[case] line: &str, #[case] expected: &[&str]) {
    let secrets = secrets_in("x.conf", line);
    assert_eq!(secrets.iter().map(SecretString::expose_secret).collect::<Vec<_>>(), expected);
}

#[test]
fn secrets_have_the_longest_first() {
    let secrets = secrets_in("imapd.conf", "sasl_sql_passwd: \"tulip\"\n");
    assert_eq!(secrets.iter().map(SecretString::expose_secret).collect::<Vec<_>>(), ["tulip"]);
}

/// Four megabytes of what gives the finder most to do; ten times as long as it takes unoptimised would be quadratic.
#[rstest::rstest]
#[case::keys_in_one_line("password x ")]
#[case::open_quotes("password '\" ")]
#[case::open_arrays("['a[")]
#[case::colons("a:b://c:d")]
#[case::lines("password =\n")]
#[case::keys_of_pem("-----BEGIN PRIVATE KEY-----")]
#[case::elements("<password>")]
fn takes_a_time_that_grows_with_the_text(#[case] piece: &str) {
    let text = piece.repeat((1 << 20) / piece.len());
    let begun = Instant::now();
    let _ = masked("x.conf", &text);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

proptest! {
    /// Whatever stands between a key and its value, and around them.
    #[test]
    fn a_value_is_found_behind_any_sign(
        key in prop::sample::select(vec!["password", "bindpw", "dnpass", "SMTP_AUTH_TOKEN", "client-secret", "PreSharedKey"]),
        sign in prop::sample::select(vec![" = ", "=", ": ", ":", " ", "\t", " => ", " := ", "\":\"", "' => '", "']='", ">", " = \"", " \\\n", " =\n  "]),
        value in "Zq[A-Za-z0-9!%+/^~]{4,20}",
        before in prop::sample::select(vec!["", "  ", "\t", "set ", "export ", "<", "{ \"", "$x['", "x = y\n"]),
        behind in prop::sample::select(vec!["", "\n", "\";\n", "',", "</", " # why\n", ";\n}"]),
    ) {
        prop_assume!((sign == ">") == (before == "<"));
        let text = format!("{before}{key}{sign}{value}{behind}");
        let masked = masked("x.conf", &text);
        prop_assert!(!masked.contains(&value), "{masked}");
    }

    /// No text is too odd, and lines stay lines.
    #[test]
    fn any_text_goes_through(
        path in prop::sample::select(vec!["x.conf", "pam.d/imap", "postfix/relay", "netrc", "shadow", "a.secret", "pgpass", "ppp/pap-secrets"]),
        text in "(password|secret|key|user|[ =:\"'\\\\|{}#,\n]|tulip|-----BEGIN PRIVATE KEY-----|://|@|\\$6\\$a\\$b|ü){0,30}",
    ) {
        let masked = masked(path, &text);
        prop_assert_eq!(masked.matches('\n').count(), text.matches('\n').count());
        let _ = (secrets_in(path, &text), masked_words(&text), shown(path, text.as_bytes()));
    }
}

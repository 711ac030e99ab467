//! Messages that the probes send: small, and correct by RFC 5322: a unique Message-ID, a Date, CRLF line ends, no line
//! that is too long.

use super::mask;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest line of a message, without its CRLF (RFC 5322 §2.1.1).
const LINE_LIMIT: usize = 998;

/// A mail address, such as `alice@lan.test`: printable ASCII, one `@`, none of the characters that would need quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The address, checked.
    pub fn new(address: impl Into<String>) -> Result<Self, InvalidAddress> {
        let address = address.into();
        let good = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"@<>()[]\\,;:\"".contains(&byte))
        };
        match address.split_once('@') {
            Some((local, domain)) if good(local) && good(domain) => Ok(Self(address)),
            _ => Err(InvalidAddress { address: address.escape_debug().to_string() }),
        }
    }

    /// The address, without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(address: String) -> Result<Self, Self::Error> {
        Self::new(address)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

/// Something that is not a mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{address}' is not a mail address of the form name@domain")]
pub struct InvalidAddress {
    /// What was given, escaped.
    pub address: String,
}

/// The identifier that finds a message again, with its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(String);

impl MessageId {
    /// An identifier that no other message has.
    fn unique(domain: &str) -> Self {
        Self(format!("<rehearsal.{:016x}{:016x}@{domain}>", rand::random::<u64>(), rand::random::<u64>()))
    }

    /// The identifier with its angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message with its envelope: who sends it, and to whom.
#[derive(Debug, Clone)]
pub struct Message {
    sender: Address,
    recipients: Vec<Address>,
    id: MessageId,
    date: String,
    subject: String,
    body: String,
}

impl Message {
    /// A message from `sender` to `recipients`, dated now, with an identifier of its own.
    pub fn new(
        sender: Address,
        recipients: impl IntoIterator<Item = Address>,
        subject: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC);
        Self {
            id: MessageId::unique(sender.domain()),
            date: now.strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
            sender,
            recipients: recipients.into_iter().collect(),
            subject: subject.into(),
            body: body.into(),
        }
    }

    /// The identifier.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// Who sends it: `MAIL FROM` and `From`.
    pub fn sender(&self) -> &Address {
        &self.sender
    }

    /// To whom: `RCPT TO` and `To`.
    pub fn recipients(&self) -> &[Address] {
        &self.recipients
    }

    /// The text as it is stored: headers and body with CRLF line ends. A body in short ASCII lines stands in it word
    /// for word; any other is in base64.
    pub fn text(&self) -> String {
        let recipients = self.recipients.iter().map(Address::as_str).collect::<Vec<_>>().join(",\r\n ");
        let (encoding, body) = encode_body(&self.body);
        format!(
            "Date: {}\r\nFrom: {}\r\nTo: {recipients}\r\nMessage-ID: {}\r\nSubject: {}\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}",
            self.date,
            self.sender,
            self.id,
            encode_subject(&self.subject),
        )
    }

    /// The text as SMTP carries it: a dot at the start of a line is doubled, and a line with a dot alone ends it (RFC
    /// 5321 §4.5.2).
    pub fn smtp_data(&self) -> String {
        let mut data = String::new();
        for line in self.text().split_terminator("\r\n") {
            if line.starts_with('.') {
                data.push('.');
            }
            data.push_str(line);
            data.push_str("\r\n");
        }
        data.push_str(".\r\n");
        data
    }
}

/// The subject as a header value: itself, or encoded words of at most 75 characters (RFC 2047), folded.
fn encode_subject(subject: &str) -> String {
    let is_plain = subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !subject.contains("=?");
    if is_plain && subject.len() <= LINE_LIMIT - "Subject: ".len() {
        return subject.to_owned();
    }
    // 45 bytes are 60 characters of base64, and 12 more around them.
    let mut words = vec![String::new()];
    for character in subject.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= 45 => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let encoded: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", mask::encode(word.as_bytes()))).collect();
    encoded.join("\r\n ")
}

/// The body and the name of its encoding. Line ends of any kind become CRLF, and the last line has one.
fn encode_body(body: &str) -> (&'static str, String) {
    let mut text = String::new();
    for line in body.lines() {
        text.push_str(line);
        text.push_str("\r\n");
    }
    let is_plain = |line: &str| {
        line.len() <= LINE_LIMIT && line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
    };
    if text.split_terminator("\r\n").all(is_plain) {
        return ("7bit", text);
    }
    let digits = mask::encode(text.as_bytes());
    let mut encoded = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && position % 76 == 0 {
            encoded.push_str("\r\n");
        }
        encoded.push(digit);
    }
    encoded.push_str("\r\n");
    ("base64", encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use rstest::rstest;

    fn address(text: &str) -> Address {
        Address::new(text).unwrap()
    }

    fn message(subject: &str, body: &str) -> Message {
        Message::new(address("alice@lan.test"), [address("carol@lan.test"), address("bob@lan.test")], subject, body)
    }

    #[test]
    fn a_message_has_what_rfc_5322_asks_for() {
        insta::with_settings!({ filters => vec![
            (r"Date: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} \+0000", "Date: [RFC 5322 date]"),
            (r"rehearsal\.[0-9a-f]{32}@", "rehearsal.[unique]@"),
            (r"\r", ""),
        ]}, {
            insta::assert_snapshot!(message("hello", "first\n.second\n").text(), @r"
            Date: [RFC 5322 date]
            From: alice@lan.test
            To: carol@lan.test,
             bob@lan.test
            Message-ID: <rehearsal.[unique]@lan.test>
            Subject: hello
            MIME-Version: 1.0
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: 7bit

            first
            .second
            ");
        });
    }

    #[test]
    fn identifiers_differ() {
        assert_ne!(message("a", "b").id(), message("a", "b").id());
    }

    #[test]
    fn smtp_data_doubles_dots_and_ends_with_one() {
        let data = message("dots", ".\n..\na.b").smtp_data();
        assert!(data.ends_with("\r\n\r\n..\r\n...\r\na.b\r\n.\r\n"), "{data:?}");
        assert!(!data.replace("\r\n", "").contains(['\r', '\n']), "every line ends with CRLF: {data:?}");
    }

    #[rstest]
    #[case::header_injection("hello\r\nBcc: x@ext.test")]
    #[case::umlauts("Grüße aus Zürich, und noch viel mehr davon, bis es nicht mehr in eine Zeile passt")]
    #[case::looks_encoded("=?utf-8?B?eA==?=")]
    fn other_subjects_are_encoded(#[case] subject: &str) {
        let encoded = encode_subject(subject);
        for line in encoded.split("\r\n ") {
            assert!(line.len() <= 75 && line.starts_with("=?utf-8?B?") && line.ends_with("?="), "{line}");
        }
        assert!(!encoded.contains("Bcc"));
        let words: Vec<_> =
            encoded.split("\r\n ").map(|word| decode(&word["=?utf-8?B?".len()..word.len() - 2])).collect();
        assert_eq!(words.concat(), subject.as_bytes());
        let (_, full) = words.split_last().unwrap();
        assert!(full.iter().all(|word| word.len() > 41), "a character has at most four bytes of 45: {words:?}");
    }

    fn decode(text: &str) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }

    #[test]
    fn a_subject_that_fills_its_line_is_still_plain() {
        let longest = "x".repeat(LINE_LIMIT - "Subject: ".len());
        assert_eq!(encode_subject(&longest), longest);
        assert!(encode_subject(&format!("{longest}x")).starts_with("=?utf-8?B?"));
    }

    #[rstest]
    #[case::umlauts("Zürich")]
    #[case::long_line(&"x".repeat(5000))]
    #[case::lone_carriage_return("a\rb")]
    fn other_bodies_are_in_base64(#[case] body: &str) {
        let (encoding, text) = encode_body(body);
        assert_eq!(encoding, "base64");
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        let (last, full) = lines.split_last().unwrap();
        assert!(full.iter().all(|line| line.len() == 76) && (1..=76).contains(&last.len()), "{lines:?}");
        assert_eq!(decode(&lines.concat()), format!("{body}\r\n").into_bytes());
    }

    #[rstest]
    #[case::plain("alice@lan.test", true)]
    #[case::plus("alice+x@lan.test", true)]
    #[case::no_domain("alice", false)]
    #[case::two_ats("a@b@c", false)]
    #[case::injection("a@b>\r\nDATA", false)]
    #[case::brackets("<a@b>", false)]
    fn addresses_are_checked(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Address::new(text).is_ok(), good);
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        let written = serde_json::to_string(&address("alice@lan.test")).unwrap();
        assert_eq!(written, "\"alice@lan.test\"");
        assert_eq!(serde_json::from_str::<Address>(&written).unwrap(), address("alice@lan.test"));
    }
}

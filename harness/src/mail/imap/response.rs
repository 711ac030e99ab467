//! Responses of a server, read from the wire and taken apart (RFC 3501 §7): status lines, data with literals in it, and
//! continuation requests.

use super::super::conversation::ConversationError;
use super::super::wire::{Allowance, Wire};

/// Lists within lists beyond this are an attack on the reader's stack.
const DEPTH_LIMIT: usize = 32;

/// What a status response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

impl Verdict {
    fn from_word(word: &[u8]) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_slice() {
            b"OK" => Self::Ok,
            b"NO" => Self::No,
            b"BAD" => Self::Bad,
            b"BYE" => Self::Bye,
            b"PREAUTH" => Self::Preauth,
            _ => return None,
        })
    }
}

/// A status response: tagged if it ends a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) tag: Option<String>,
    pub(super) verdict: Verdict,
    /// The text behind the verdict, with its response code.
    pub(super) text: Vec<u8>,
}

impl Status {
    /// The words of the response code, such as `UIDVALIDITY 5` in `[UIDVALIDITY 5] Ok`.
    pub(super) fn code(&self) -> Vec<String> {
        let Some(rest) = self.text.strip_prefix(b"[") else { return Vec::new() };
        let code = rest.split(|byte| *byte == b']').next().unwrap_or_default();
        String::from_utf8_lossy(code).to_ascii_uppercase().split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether a `NO` speaks of the server's state and not of what was asked.
    pub(super) fn is_passing(&self) -> bool {
        // RFC 5530 §3; PRIVACYREQUIRED: the server did not look at the credentials.
        const CODES: [&str; 6] = ["UNAVAILABLE", "SERVERBUG", "INUSE", "LIMIT", "CONTACTADMIN", "PRIVACYREQUIRED"];
        // Cyrus passes on what libsasl calls its error (`sasl_errstring`): these are not about the password.
        const WORDS: [&str; 5] = [
            "generic failure",
            "transient failure",
            "out of memory",
            "remote authentication server unavailable",
            "only available under a layer",
        ];
        let text = String::from_utf8_lossy(&self.text).to_ascii_lowercase();
        self.code().first().is_some_and(|code| CODES.contains(&code.as_str()))
            || WORDS.iter().any(|words| text.contains(words))
    }
}

/// A piece of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A bare word: atom, number, flag, `BODY[]`, and `NIL`.
    Word(Vec<u8>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// What stands in parentheses.
    List(Vec<Value>),
}

impl Value {
    /// The word in capitals.
    pub(super) fn word(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(String::from_utf8_lossy(word).to_ascii_uppercase()),
            Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The number.
    pub(super) fn number(&self) -> Option<u32> {
        self.word()?.parse().ok()
    }
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Response {
    Status(Status),
    Data(Vec<Value>),
    Continuation,
}

/// Reads one response.
pub(super) async fn read(
    wire: &mut Wire,
    awaited: &str,
    allowance: &mut Allowance,
) -> Result<Response, ConversationError> {
    let line = wire.line(awaited, allowance).await?;
    if line == b"+" || line.starts_with(b"+ ") {
        return Ok(Response::Continuation);
    }
    let unexpected = |wire: &Wire| ConversationError::Unexpected {
        expected: format!("{awaited} by IMAP"),
        got: wire.recorder.clean(&line),
    };
    let (tag, rest) = split_word(&line);
    let (word, text) = split_word(rest);
    let untagged = tag == b"*";
    if let Some(verdict) = Verdict::from_word(word) {
        let tag = if untagged { None } else { Some(String::from_utf8(tag.to_vec()).map_err(|_| unexpected(wire))?) };
        return Ok(Response::Status(Status { tag, verdict, text: text.to_vec() }));
    }
    if !untagged || word.is_empty() {
        return Err(unexpected(wire));
    }
    let tokens = read_tokens(wire, rest.to_vec(), awaited, allowance).await?;
    tokens.and_then(nest).map(Response::Data).ok_or_else(|| unexpected(wire))
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &[]),
    }
}

#[derive(Debug)]
enum Token {
    Open,
    Close,
    Value(Value),
}

/// The tokens of a data response, whose line goes on behind each literal. None if they are malformed.
async fn read_tokens(
    wire: &mut Wire,
    mut line: Vec<u8>,
    awaited: &str,
    allowance: &mut Allowance,
) -> Result<Option<Vec<Token>>, ConversationError> {
    let mut tokens = Vec::new();
    loop {
        let (text, announced) = split_literal(&line);
        if tokenize(text, &mut tokens).is_none() {
            return Ok(None);
        }
        let Some(size) = announced else { return Ok(Some(tokens)) };
        tokens.push(Token::Value(Value::Text(wire.literal(size, allowance).await?)));
        line = wire.line(awaited, allowance).await?;
    }
}

/// Takes the announcement of a literal, `{size}` or `~{size}` (RFC 3516), off the end of a line.
fn split_literal(line: &[u8]) -> (&[u8], Option<usize>) {
    let announced = || {
        let inner = line.strip_suffix(b"}")?;
        let brace = inner.iter().rposition(|byte| *byte == b'{')?;
        let size = std::str::from_utf8(&inner[brace + 1..]).ok()?;
        let size = size.strip_suffix('+').unwrap_or(size);
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // A size that no number holds is one that no allowance holds.
        let text = &inner[..brace];
        Some((text.strip_suffix(b"~").unwrap_or(text), size.parse().unwrap_or(usize::MAX)))
    };
    announced().map_or((line, None), |(text, size)| (text, Some(size)))
}

fn tokenize(text: &[u8], tokens: &mut Vec<Token>) -> Option<()> {
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = match first {
            b' ' => behind,
            b'(' => {
                tokens.push(Token::Open);
                behind
            }
            b')' => {
                tokens.push(Token::Close);
                behind
            }
            b'"' => {
                let (string, behind) = quoted_string(behind)?;
                tokens.push(Token::Value(Value::Text(string)));
                behind
            }
            _ => {
                let (word, behind) = rest.split_at(word_length(rest));
                tokens.push(Token::Value(Value::Word(word.to_vec())));
                behind
            }
        };
    }
    Some(())
}

/// The string up to its closing quote, and what is behind it.
fn quoted_string(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut string = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((position, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((string, &text[position + 1..])),
            b'\\' => string.push(*bytes.next()?.1),
            other => string.push(*other),
        }
    }
    None
}

/// How far a word reaches: to a space or a parenthesis outside of brackets, as in `BODY[HEADER.FIELDS (SUBJECT)]`.
fn word_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    text.iter()
        .position(|byte| {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(byte, b' ' | b'(' | b')')
        })
        .unwrap_or(text.len())
        .max(1)
}

/// Builds lists. None if parentheses do not match or are too deep.
fn nest(tokens: Vec<Token>) -> Option<Vec<Value>> {
    let mut open: Vec<Vec<Value>> = vec![Vec::new()];
    for token in tokens {
        match token {
            Token::Open if open.len() > DEPTH_LIMIT => return None,
            Token::Open => open.push(Vec::new()),
            Token::Close => {
                let list = open.pop()?;
                open.last_mut()?.push(Value::List(list));
            }
            Token::Value(value) => open.last_mut()?.push(value),
        }
    }
    let outer = open.pop()?;
    open.is_empty().then_some(outer)
}

/// Reads responses until one is none.
#[cfg(any(test, fuzzing))]
pub(in super::super) async fn fuzz(wire: &mut Wire) {
    let mut allowance = Allowance::full();
    while let Ok(response) = read(wire, "a response", &mut allowance).await {
        match response {
            Response::Status(status) => drop((status.code(), status.is_passing())),
            Response::Data(values) => values.iter().for_each(|value| drop((value.word(), value.number()))),
            Response::Continuation => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn values(line: &str) -> Option<Vec<Value>> {
        let mut tokens = Vec::new();
        tokenize(line.as_bytes(), &mut tokens)?;
        nest(tokens)
    }

    fn word(text: &str) -> Value {
        Value::Word(text.into())
    }

    #[rstest]
    #[case::search("SEARCH 4 7", vec![word("SEARCH"), word("4"), word("7")])]
    #[case::section("1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] \"a \\\" b\")", vec![
        word("1"),
        word("FETCH"),
        Value::List(vec![word("BODY[HEADER.FIELDS (SUBJECT)]"), Value::Text(b"a \" b".to_vec())]),
    ])]
    #[case::flags("FLAGS (\\Seen $Junk)", vec![word("FLAGS"), Value::List(vec![word("\\Seen"), word("$Junk")])])]
    fn data_is_taken_apart(#[case] line: &str, #[case] expected: Vec<Value>) {
        assert_eq!(values(line), Some(expected));
    }

    #[rstest]
    #[case::unclosed_list("FLAGS (a")]
    #[case::unopened_list("FLAGS a)")]
    #[case::unclosed_string("LIST () \"/")]
    #[case::bottomless(&"(".repeat(100_000))]
    fn malformed_data_is_refused(#[case] line: &str) {
        assert_eq!(values(line), None);
    }

    #[rstest]
    #[case::as_deep_as_may_be(DEPTH_LIMIT, true)]
    #[case::one_deeper(DEPTH_LIMIT + 1, false)]
    fn lists_have_a_largest_depth(#[case] depth: usize, #[case] good: bool) {
        assert_eq!(values(&("(".repeat(depth) + &")".repeat(depth))).is_some(), good);
    }

    #[rstest]
    #[case::literal("1 FETCH (BODY[] {310}", "1 FETCH (BODY[] ", Some(310))]
    #[case::binary("BINARY[] ~{3}", "BINARY[] ", Some(3))]
    #[case::huge("BODY[] {99999999999999999999999}", "BODY[] ", Some(usize::MAX))]
    #[case::not_a_number("x {abc}", "x {abc}", None)]
    #[case::none("SEARCH 1", "SEARCH 1", None)]
    fn literals_are_announced_at_the_end(#[case] line: &str, #[case] text: &str, #[case] size: Option<usize>) {
        assert_eq!(split_literal(line.as_bytes()), (text.as_bytes(), size));
    }

    #[rstest]
    #[case("Login failed: authentication failure", false)]
    #[case("authentication failure", false)]
    #[case("Login failed: authorization failure", false)]
    #[case("Login failed: generic failure", true)]
    #[case("Login only available under a layer", true)]
    #[case("[UNAVAILABLE] try later", true)]
    #[case("[AUTHENTICATIONFAILED] no", false)]
    fn a_passing_no_is_told_from_a_refusal(#[case] text: &str, #[case] passing: bool) {
        let status = Status { tag: Some("a1".into()), verdict: Verdict::No, text: text.into() };
        assert_eq!(status.is_passing(), passing);
    }
}

//! Output that nobody reads any more, or that has no room.

use std::io::{self, ErrorKind, Write as _};

/// The exit code where output has no room.
const NO_ROOM: i32 = 4;

/// From now on a program whose reader has gone, as with `| head`, ends quietly and with success instead of a panic; one whose
/// output has no room ends with a message. For programs that only print.
pub fn end_quietly_without_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        // The words of `println!`, and of an `unwrap` after `write!`.
        if message.contains("Broken pipe") || message.contains("BrokenPipe") {
            std::process::exit(0);
        }
        if let Some((stream, why)) = message.strip_prefix("failed printing to ").and_then(|it| it.split_once(": ")) {
            say_no_room(stream, why);
            std::process::exit(NO_ROOM);
        }
        usual(panic);
    }));
}

/// Writes what was printed and is not written yet, as a program must before it ends: the end itself would tell nobody that it
/// failed. Says whether all is written.
#[must_use]
pub fn flushed() -> bool {
    match io::stdout().flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say_no_room("stdout", &error.to_string());
            false
        }
        _ => true,
    }
}

fn say_no_room(stream: &str, why: &str) {
    // Standard error may be as full: then nobody can be told.
    let _ = writeln!(
        io::stderr(),
        "Error: failed to write the output to {stream}: {why}; make room there, or name another place"
    );
}

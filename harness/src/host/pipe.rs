//! Output that nobody reads any more.

/// From now on a program whose reader has gone, as with `| head`, ends quietly and with success instead of a panic: for
/// programs that only print.
pub fn end_quietly_without_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        // The words of `println!`, and of an `unwrap` after `write!`.
        if message.contains("Broken pipe") || message.contains("BrokenPipe") {
            std::process::exit(0);
        }
        usual(panic);
    }));
}

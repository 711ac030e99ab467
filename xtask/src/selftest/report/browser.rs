//! A browser without a window, told what to do over a pipe: no port is opened, and it ends when we do.
//!
//! Source: the Chrome `DevTools` Protocol; with `--remote-debugging-pipe` it is JSON, each message ended by a zero byte, to
//! descriptor 3 and from descriptor 4.

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use command_fds::{CommandFdExt as _, FdMapping};
use harness::host::raw::tie_to_thread;
use harness::time::Deadline;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, PipeWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The longest that a browser takes for anything here on the slowest host.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a page may take to react.
const REACTION: Duration = Duration::from_secs(5);

/// A browser with one page.
pub(super) struct Browser {
    child: Child,
    orders: PipeWriter,
    messages: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// What the page told beside answers.
    events: Vec<Value>,
    /// Its profile and what it makes for a while, gone with it.
    _home: tempfile::TempDir,
}

/// How large the window is, and whether it is a phone's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) phone: bool,
}

impl Browser {
    /// Starts one.
    pub(super) fn start(program: &Path) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let (theirs, orders) = std::io::pipe()?;
        let (answers, ours) = std::io::pipe()?;
        let mut command = Command::new(program);
        command.args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--hide-scrollbars",
        ]);
        // Without it Chromium does not run as root; the page is our own, and forbids itself all requests.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]);
        command.arg(format!("--user-data-dir={}", home.path().display())).arg("about:blank");
        // It is killed, and would leave the directory of its socket where others are made.
        command.env("HOME", home.path()).env("TMPDIR", home.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.fd_mappings(vec![
            FdMapping { parent_fd: theirs.into(), child_fd: 3 },
            FdMapping { parent_fd: ours.into(), child_fd: 4 },
        ])?;
        let child = tie_to_thread(&mut command).spawn().context("failed to start the browser")?;
        // Our copies of its ends go, so that its end is seen.
        drop(command);
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (session, events) = (None, Vec::new());
        let mut browser = Self { child, orders, messages, session, number: 0, events, _home: home };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach)?;
        browser.session = Some(attached["sessionId"].as_str().context("the browser names no session")?.to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Gives an order, and waits for the answer.
    pub(super) fn call(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.number += 1;
        let mut order = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        self.orders.write_all(&[order.to_string().as_bytes(), b"\0"].concat()).context("the browser has ended")?;
        loop {
            let message = self.next(method)?;
            if message["id"] == self.number {
                let error = &message["error"];
                return if error.is_null() { Ok(message["result"].clone()) } else { Err(anyhow!("{method}: {error}")) };
            }
            self.events.push(message);
        }
    }

    fn next(&self, what: &str) -> anyhow::Result<Value> {
        self.messages.recv_timeout(PATIENCE).with_context(|| format!("the browser does not answer to {what}"))
    }

    /// Shows the page in a file, and waits until it is there. What happened before is forgotten.
    pub(super) fn show(&mut self, page: &Path) -> anyhow::Result<()> {
        self.events.clear();
        let begun = self.call("Page.navigate", &json!({ "url": url(page) }))?;
        if let Some(error) = begun["errorText"].as_str() {
            bail!("the page is not shown: {error}");
        }
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next("a page")?;
            self.events.push(event);
        }
        Ok(())
    }

    /// The value of an expression in the page.
    pub(super) fn ask(&mut self, expression: &str) -> anyhow::Result<Value> {
        let order = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &order)?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression}: {}", answer["exceptionDetails"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true in the page: what follows from a click or a key may take a moment.
    pub(super) fn holds(&mut self, what: &str, expression: &str) -> anyhow::Result<()> {
        let deadline = Deadline::after(REACTION);
        loop {
            let found = self.ask(expression)?;
            if found == true {
                return Ok(());
            }
            anyhow::ensure!(!deadline.passed(), "{what}: `{expression}` is {found}");
            // The page gets a turn before it is asked again.
            self.ask("new Promise((done) => requestAnimationFrame(() => done(true)))")?;
        }
    }

    /// Presses a key.
    pub(super) fn press(&mut self, key: &str) -> anyhow::Result<()> {
        let (text, code) = if key == "Enter" { ("\r", 13) } else { (key, 0) };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Clicks into the middle of the first element that a selector finds.
    pub(super) fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        let place = self.ask(&format!(
            "(() => {{ const at = document.querySelector({selector:?}); at.scrollIntoView({{ block: 'center' }}); \
             const box = at.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Takes another screen.
    pub(super) fn screen(&mut self, Screen { width, height, phone }: Screen) -> anyhow::Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    /// What the person likes: `light` or `dark`.
    pub(super) fn scheme(&mut self, scheme: &str) -> anyhow::Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// Keeps a picture of what is seen.
    pub(super) fn picture(&mut self, file: &Path) -> anyhow::Result<()> {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }))?;
        let data = BASE64.decode(shot["data"].as_str().unwrap_or_default())?;
        Ok(fs_err::write(file, data)?)
    }

    /// The addresses that the page asked for since it was shown, whether it got an answer or not.
    pub(super) fn requests(&self) -> Vec<String> {
        let asked = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        asked.map(|event| event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What went wrong in the page since it was shown: errors of scripts, and breaches of its policy.
    pub(super) fn troubles(&self) -> Vec<String> {
        let is_trouble = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_trouble).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers are in its group. What has ended already is what we want.
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// The address of a file.
pub(super) fn url(page: &Path) -> String {
    format!("file://{}", page.display())
}

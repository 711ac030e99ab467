//! The page of a report, as a browser shows it.

mod browser;

use super::{Outcome, Report};
use crate::exit::{End, HostLacks};
use crate::workbench::{project, results};
use anyhow::Context as _;
use browser::{Browser, Screen, url};
use harness::host::tools::which;
use harness::report::{self, html};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Names that Chromium has on distributions.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

const DESK: Screen = Screen { width: 1280, height: 900, phone: false };
const PHONE: Screen = Screen { width: 360, height: 780, phone: true };

/// Whether the dialogue of the failed step can be seen.
const SEEN: &str = "document.querySelector('details.case.failed details.step.failed pre').checkVisibility()";

/// Where a page is looked at.
struct Desk {
    browser: Browser,
    /// Pages that are made for it.
    pages: tempfile::TempDir,
    /// The page of the committed run.
    page: PathBuf,
    /// Where pictures are left.
    pictures: PathBuf,
}

/// Runs the command.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let program = BROWSERS.into_iter().find_map(which).ok_or_else(|| {
        HostLacks("skipped, because there is no Chromium here: `cargo xtask setup --all` installs it".into())
    })?;
    let mut report = Report::default();
    let mut desk = Desk::new(&program)?;
    report.row("report: the page of a real run is shown, and asks for nothing", || loads(&mut desk));
    report.row("report: a page that asks for something is found out", || control(&mut desk));
    report.row("report: what a guest said is text", || hostile(&mut desk));
    report.row("report: a failure is folded and unfolded", || folds(&mut desk));
    report.row("report: keys", || keys(&mut desk));
    report.row("report: links lead into what is folded", || links(&mut desk));
    report.row("report: a phone, all unfolded", || phone(&mut desk));
    report.row("report: light and dark can be read", || schemes(&mut desk));
    report.close();
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { End::Failed.into() })
}

impl Desk {
    fn new(program: &Path) -> anyhow::Result<Self> {
        let pages = tempfile::tempdir()?;
        let page = pages.path().join("report.html");
        fs_err::write(&page, html::render(&sample()?))?;
        let pictures = results().join("report-pictures");
        fs_err::create_dir_all(&pictures)?;
        Ok(Self { browser: Browser::start(program)?, pages, page, pictures })
    }

    /// The page of the committed run, as on a large screen.
    fn fresh(&mut self) -> anyhow::Result<&mut Browser> {
        self.browser.screen(DESK)?;
        self.browser.scheme("light")?;
        self.browser.show(&self.page)?;
        Ok(&mut self.browser)
    }

    /// Another page.
    fn show(&mut self, page: &str) -> anyhow::Result<&mut Browser> {
        let path = self.pages.path().join("other.html");
        fs_err::write(&path, page)?;
        self.browser.show(&path)?;
        Ok(&mut self.browser)
    }

    fn picture(&mut self, name: &str) -> anyhow::Result<()> {
        self.browser.picture(&self.pictures.join(name))
    }
}

/// A real run that was made small.
fn sample() -> anyhow::Result<report::Report> {
    Ok(report::load(&project("xtask/samples/report"))?)
}

fn loads(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let page = url(&desk.page);
    let browser = desk.fresh()?;
    let title = browser.ask("document.title")?;
    anyhow::ensure!(title.as_str().is_some_and(|title| title.contains("failed")), "the title is {title}");
    let (requests, troubles) = (browser.requests(), browser.troubles());
    anyhow::ensure!(requests == [page], "it asks for {requests:?}");
    anyhow::ensure!(troubles.is_empty(), "{troubles:?}");
    desk.picture("light.png")?;
    Ok(Outcome::Passed(format!("{title}; pictures are in {}", desk.pictures.display())))
}

/// Our eyes see requests; and the page's own policy forbids them.
fn control(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let page = html::render(&sample()?);
    let asking = page.replace("<body>", "<body><img src=\"http://127.0.0.1:9/picture\">");
    let (before, rest) = asking.split_once("<meta http-equiv").context("the page has no policy")?;
    let (_, after) = rest.split_once('>').context("the policy has no end")?;
    let requests = desk.show(&format!("{before}{after}"))?.requests();
    anyhow::ensure!(requests.iter().any(|request| request.contains("127.0.0.1:9")), "without policy: {requests:?}");
    let troubles = desk.show(&asking)?.troubles();
    let refused = troubles.iter().any(|trouble| trouble.contains("Content Security Policy"));
    anyhow::ensure!(refused, "the policy refuses nothing: {troubles:?}");
    Ok(Outcome::Passed("it is seen without the policy, and refused with it".into()))
}

fn hostile(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let said = "NO </pre><script>window.hit = 1</script><img src=x onerror='window.hit = 2'>\u{1b}[31m\u{202e}";
    let mut report = sample()?;
    for case in &mut report.cases {
        case.result.reason = Some(said.into());
        for step in &mut case.result.steps {
            (step.name, step.answered) = (said.into(), said.into());
            step.transcript = Some(format!("S: {said}"));
        }
    }
    let page = html::render(&report);
    // A page that does not escape is found out: the same words as markup, in a page without a policy.
    let naked = desk.show(&format!("<!doctype html><pre>{said}</pre>"))?;
    naked.holds("the words harm as markup", "window.hit !== undefined")?;
    let browser = desk.show(&page)?;
    browser.holds("nothing ran", "window.hit === undefined && !document.querySelector('main script, main img')")?;
    browser
        .holds("the words are shown", "document.querySelector('main').textContent.includes('<script>window.hit')")?;
    browser
        .holds("nothing steers", r"!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/.test(document.body.textContent)")?;
    Ok(Outcome::Passed("it is shown, and not done".into()))
}

fn folds(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let browser = desk.fresh()?;
    browser.holds("the failed step is unfolded", SEEN)?;
    browser.click("details.case.failed > summary")?;
    browser.holds("a click folds it", &format!("!{SEEN}"))?;
    browser.click("details.case.failed > summary")?;
    browser.holds("another click unfolds it", SEEN)?;
    let dialogue = browser.ask("document.querySelector('details.step.failed pre').textContent")?;
    let lines = dialogue.as_str().unwrap_or_default().lines().count();
    anyhow::ensure!(lines > 2, "its dialogue is {dialogue}");
    Ok(Outcome::Passed(format!("a dialogue of {lines} lines")))
}

fn keys(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let browser = desk.fresh()?;
    let heads = "[...document.querySelectorAll('main summary')].filter((one) => one.checkVisibility())";
    let at = |number: usize| format!("document.activeElement === {heads}[{number}]");
    browser.press("j")?;
    browser.holds("j goes to the first", &at(0))?;
    browser.press("j")?;
    browser.holds("j goes on", &at(1))?;
    browser.press("k")?;
    browser.holds("k goes back", &at(0))?;
    let open = "document.activeElement.parentElement.open";
    let before = browser.ask(open)?;
    browser.press("Enter")?;
    browser.holds("Enter turns it", &format!("{open} !== {before}"))?;
    browser.ask("document.querySelectorAll('main details').forEach((one) => { one.open = false; })")?;
    browser.press("n")?;
    browser.press("n")?;
    browser.holds("n unfolds the failure", "document.activeElement.closest('.failed').checkVisibility()")?;
    browser.ask("document.activeElement.closest('details.case').open = true")?;
    browser.press("e")?;
    browser.holds("e unfolds all steps", "![...document.activeElement.closest('details.case').querySelectorAll('details.step')].some((one) => !one.open)")?;
    browser.press("?")?;
    browser.holds("? shows the keys", "document.getElementById('keys').checkVisibility()")?;
    Ok(Outcome::Passed("j k n e ? Enter".into()))
}

fn links(desk: &mut Desk) -> anyhow::Result<Outcome> {
    let browser = desk.fresh()?;
    browser.ask("document.querySelectorAll('main details').forEach((one) => { one.open = false; })")?;
    browser.click("nav li.passed a")?;
    let target = "document.getElementById(location.hash.slice(1))";
    browser.holds("the case is unfolded", &format!("{target}.matches('details.case.passed') && {target}.open"))?;
    browser.click("details.case.passed[open] .timeline a:last-of-type rect")?;
    browser.holds("the step is unfolded", &format!("{target}.matches('details.step') && {target}.open"))?;
    let relative =
        "[...document.querySelectorAll('main a')].every((one) => /^(#|\\.\\/)/.test(one.getAttribute('href')))";
    browser.holds("all links are relative", relative)?;
    browser.click("label:has(#show-failed) span")?;
    browser.holds("only failures are left", "!document.querySelector('details.case.passed').checkVisibility()")?;
    browser.holds("the failure is left", "document.querySelector('details.case.failed').checkVisibility()")?;
    Ok(Outcome::Passed("from the list to cases, from the drawing to steps".into()))
}

fn phone(desk: &mut Desk) -> anyhow::Result<Outcome> {
    desk.fresh()?;
    desk.browser.screen(PHONE)?;
    desk.picture("phone.png")?;
    desk.browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")?;
    let widths = desk.browser.ask("[document.documentElement.scrollWidth, innerWidth]")?;
    anyhow::ensure!(widths[0] == widths[1] && widths[1] == PHONE.width, "content and window are {widths} wide");
    desk.browser.ask("document.querySelector('details.case.failed').scrollIntoView()")?;
    desk.picture("phone-case.png")?;
    Ok(Outcome::Passed(format!("nothing is wider than {} pixels", PHONE.width)))
}

/// Contrast of text to what is behind it, as WCAG 2.2 computes it; the least is 4.5 (1.4.3).
const CONTRAST: &str = r"(() => {
    const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    let worst = [99, ''];
    for (const one of document.querySelectorAll('body *:not(svg *)')) {
        if (![...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
        if (!one.checkVisibility() || one.closest('script, style')) continue;
        const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < worst[0]) worst = [contrast, one.className + ' ' + one.textContent.slice(0, 40)];
    }
    return [...worst, light(behind(document.body))];
})()";

fn schemes(desk: &mut Desk) -> anyhow::Result<Outcome> {
    desk.fresh()?;
    let mut seen = Vec::new();
    for scheme in ["light", "dark"] {
        desk.browser.scheme(scheme)?;
        let found = desk.browser.ask(CONTRAST)?;
        let (worst, page) = (found[0].as_f64().unwrap_or_default(), found[2].as_f64().unwrap_or(0.5));
        anyhow::ensure!(worst >= 4.5, "{scheme}: the contrast of `{}` is {worst:.2}", found[1]);
        anyhow::ensure!((page < 0.2) == (scheme == "dark"), "{scheme}: the page has a luminance of {page:.2}");
        seen.push(format!("{scheme} {worst:.1}"));
    }
    desk.picture("dark.png")?;
    desk.browser.ask("document.querySelector('.case.failed .columns').scrollIntoView({ block: 'center' })")?;
    desk.picture("dark-dialogues.png")?;
    desk.browser.ask("document.querySelectorAll('details.case').forEach((one) => { one.open = true; })")?;
    desk.browser.ask("document.querySelector('.drift').scrollIntoView({ block: 'start' })")?;
    desk.browser.scheme("light")?;
    desk.picture("light-drift.png")?;
    Ok(Outcome::Passed(format!("least contrast: {}", seen.join(", "))))
}

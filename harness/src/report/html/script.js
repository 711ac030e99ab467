// Keys, and links into what is folded. Everything can be read without it.
(() => {
  // What is folded away has a place all the same: only this knows that nobody sees it.
  const shown = (element) => element.checkVisibility();
  const heads = () => [...document.querySelectorAll("main summary")].filter(shown);
  const reveal = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
  };
  const focus = (head) => {
    if (!head) return;
    head.focus({ preventScroll: true });
    head.scrollIntoView({ block: "nearest" });
  };
  const go = (by) => {
    const all = heads();
    const now = all.indexOf(document.activeElement);
    focus(now < 0 ? all[by > 0 ? 0 : all.length - 1] : all[now + by]);
  };
  const fail = (by) => {
    const all = [...document.querySelectorAll("main details.failed > summary")];
    const after = (one) => document.activeElement.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
    const before = (one) => document.activeElement.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING;
    const outside = !document.activeElement.closest("main");
    const next = by > 0
      ? all.find((one) => outside || after(one))
      : all.reverse().find((one) => !one.contains(document.activeElement) && before(one));
    if (!next) return;
    reveal(next);
    focus(next);
  };
  const all = () => {
    const here = document.activeElement.closest("details.case") || document.querySelector("details.case[open]");
    if (!here) return;
    const steps = [...here.querySelectorAll("details.step")];
    const open = steps.some((step) => !step.open);
    for (const step of steps) step.open = open;
  };
  const target = () => {
    const found = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!found) return;
    reveal(found);
    focus(found.querySelector("summary") || found);
    found.scrollIntoView({ block: "start" });
  };
  const keys = {
    j: () => go(1),
    k: () => go(-1),
    n: () => fail(1),
    N: () => fail(-1),
    e: all,
    "?": () => document.getElementById("keys").classList.toggle("shown"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onHead = document.activeElement.tagName === "SUMMARY";
    const arrow = onHead && { ArrowDown: keys.j, ArrowUp: keys.k }[event.key];
    const act = arrow || keys[event.key];
    if (!act || document.activeElement.tagName === "INPUT" && event.key.startsWith("Arrow")) return;
    event.preventDefault();
    act();
  });
  addEventListener("hashchange", target);
  // A link to where one is already changes no address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) target();
  });
  target();
})();

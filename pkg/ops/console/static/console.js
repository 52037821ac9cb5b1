// What pages do beyond being read: live lines, parts that are read again, copying, and the theme.
"use strict";

(() => {
  const root = document.documentElement;
  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (stored) root.dataset.theme = stored;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  function theme() {
    const button = document.getElementById("theme");
    const show = () => { button.textContent = dark() ? "Light" : "Dark"; };
    button.hidden = false;
    button.onclick = () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it lasts for this page */ }
      show();
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }

  const gone = (is) => { document.getElementById("gone").hidden = !is; };

  function copies(within) {
    for (const button of within.querySelectorAll("button.copy")) button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  // Lines come as rows that the server has written, with every value escaped.
  function stream() {
    const pause = document.querySelector("[data-stream]");
    if (!pause) return;
    const lines = document.getElementById("lines"), most = Number(lines.dataset.most);
    let held = [];
    const add = (row) => {
      const holder = document.createElement("template");
      holder.innerHTML = row;
      const line = holder.content.firstElementChild;
      line.classList.add("new");
      setTimeout(() => line.classList.remove("new"), 1500);
      lines.prepend(line);
      while (lines.children.length > most) lines.lastElementChild.remove();
      document.getElementById("nothing")?.remove();
    };
    const paused = () => pause.getAttribute("aria-pressed") === "true";
    pause.hidden = false;
    pause.onclick = () => {
      pause.setAttribute("aria-pressed", String(!paused()));
      if (!paused()) { held.forEach(add); held = []; }
      pause.textContent = paused() ? "Go on" : "Pause";
    };
    const source = new EventSource(pause.dataset.stream);
    source.onmessage = (message) => {
      if (!paused()) return add(message.data);
      held.push(message.data);
      if (held.length > most) held.shift();
      pause.textContent = `Go on (${held.length} new)`;
    };
    source.onopen = () => gone(false);
    source.onerror = () => gone(true);
    addEventListener("pagehide", () => source.close());
  }

  // Parts with data-refresh are read again, by their names, and made as they are in a page. One that
  // somebody uses stays as it is.
  const used = (part) => part.contains(document.activeElement) || !getSelection().isCollapsed && part.contains(getSelection().anchorNode);

  function refresh() {
    const due = new Map();
    let busy = false;
    setInterval(async () => {
      if (busy || document.hidden) return;
      const now = Date.now();
      const parts = [...document.querySelectorAll("[data-refresh]")].filter((part) => {
        if (!due.has(part.id)) due.set(part.id, now + 1000 * part.dataset.refresh);
        return due.get(part.id) <= now && !used(part);
      });
      if (parts.length === 0) return;
      busy = true;
      try {
        const response = await fetch(location.href, { headers: { Accept: "text/html", Parts: parts.map((part) => part.id).join() } });
        if (!response.ok) throw new Error(response.status);
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        for (const part of parts) {
          if (used(part)) continue; // since it was asked for
          due.delete(part.id);
          const fresh = page.getElementById(part.id);
          if (fresh && fresh.innerHTML !== part.innerHTML) { part.replaceWith(fresh); copies(fresh); }
        }
        gone(false);
      } catch {
        for (const part of parts) due.delete(part.id);
        gone(true);
      }
      busy = false;
    }, 500);
  }

  document.addEventListener("DOMContentLoaded", () => { theme(); copies(document); stream(); refresh(); });
})();

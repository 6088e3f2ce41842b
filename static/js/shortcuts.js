/* Keys: j/k and Enter in tables whose rows have data-href, ? for the list of keys, and any [data-key="x"] button or link
   on the page. Keys rest while somebody types, holds a modifier, or a dialog is open. */
(() => {
  "use strict";

  const TYPING = "input, textarea, select, [contenteditable=''], [contenteditable='true']";

  const rows = () => [...document.querySelectorAll("tbody tr[data-href]")].filter((row) => row.offsetParent !== null);

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const current = all.findIndex((row) => row.classList.contains("row-current"));
    const next = all[Math.min(all.length - 1, Math.max(0, current === -1 ? (step > 0 ? 0 : all.length - 1) : current + step))];
    for (const row of all) row.classList.toggle("row-current", row === next);
    (next.querySelector("a[href]") ?? next).focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function open(row, event) {
    const href = row?.dataset.href;
    if (!href) return;
    if (event.ctrlKey || event.metaKey) window.open(href, "_blank", "noopener");
    else window.location.assign(href);
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      document.getElementById("shortcut-help")?.showModal();
    } else if (event.key === "Enter" && (event.target === document.body || event.target.matches?.("tr[data-href]"))) {
      open(document.querySelector("tr.row-current"), event);
      return;
    } else {
      const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not(:disabled)`);
      if (target?.matches(TYPING)) target.focus();
      else if (target) target.click();
      else if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else return;
    }
    event.preventDefault();
  });

  // A click anywhere in a row opens it; links, controls and selected text keep their own meaning.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (!row || event.defaultPrevented || event.target.closest("a, button, input, select, label, summary")) return;
    if (String(window.getSelection())) return;
    open(row, event);
  });
})();

/* Rows of data: e edits and x picks the current row of a table; Ctrl+Enter saves a form with [data-save-key]. */
(() => {
  "use strict";

  const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable='']";

  function count() {
    const picked = document.querySelectorAll("#picked input[name=row]:checked").length;
    for (const button of document.querySelectorAll("[data-picked]")) {
      button.disabled = picked === 0;
      button.querySelector("[data-picked-count]").textContent = picked ? String(picked) : "picked";
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("#picked input[name=row]")) count();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest?.("form[data-save-key]");
      if (form) {
        event.preventDefault();
        form.requestSubmit(form.querySelector("[data-save]"));
      }
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    const row = document.querySelector("tr.row-current");
    if (event.key === "e" && row?.dataset.edit) {
      window.location.assign(row.dataset.edit);
    } else if (event.key === "x" && row) {
      const box = row.querySelector("input[name=row]");
      if (!box) return;
      box.checked = !box.checked;
      count();
    } else return;
    event.preventDefault();
  });

  document.addEventListener("htmx:after:swap", count);
  window.addEventListener("pageshow", count);
  count();
})();

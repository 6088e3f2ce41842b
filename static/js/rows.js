/* Rows of data: e edits and x picks the current row of a table; Ctrl+Enter saves a form with [data-save-key]; of a
   [data-bulk] form only the fields of the chosen action are shown. */
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
    const form = event.target.form;
    if (form?.dataset.chooser === event.target.name) showFields(form);
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

  /** Fields of the choice that data-chooser names. Without JavaScript all are there, and the others are not read. */
  function showFields(form) {
    for (const part of form.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(form.elements[form.dataset.chooser].value);
    }
  }

  function start() {
    count();
    const form = document.querySelector("form[data-chooser]");
    if (form) showFields(form);
  }
  document.addEventListener("htmx:after:swap", start);
  window.addEventListener("pageshow", start);
  start();
})();

/* Adjudication by keyboard: digits choose an answer of the current question, letters the cause, n the note, Enter settles.
   The time in front of the item is counted by time_taken.js. */
(() => {
  "use strict";

  const form = document.getElementById("judge");
  if (!form) return;
  const questions = [...form.querySelectorAll("[data-question]")];
  const causes = [...form.querySelectorAll("[data-cause]")];
  const CAUSES = { t: 0, g: 1, l: 2, e: 3, s: 4, b: 5 };
  const TYPING = "textarea, select, input:not([type='radio']):not([type='checkbox'])";

  const chosen = (question) => question.querySelector("input[type='radio']:checked");
  const current = () =>
    questions.find((question) => question.contains(document.activeElement)) ??
    questions.find((question) => !chosen(question)) ??
    questions[0];

  function showOwn(question) {
    question.querySelector(".judge-own").hidden = chosen(question)?.value !== "own";
  }
  for (const question of questions) {
    question.addEventListener("change", () => showOwn(question));
    showOwn(question);
  }

  function choose(digit) {
    const question = current();
    const radio = question?.querySelector(`input[data-digit="${digit}"]`);
    if (!radio) return false;
    radio.click();
    if (radio.value === "own") question.querySelector(".judge-own").querySelector("input, select, textarea")?.focus();
    else document.activeElement?.blur();
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.target.closest?.(TYPING)) return;
    let done = true;
    if (/^[0-9]$/.test(event.key)) done = choose(event.key);
    else if (event.key in CAUSES) causes[CAUSES[event.key]]?.click();
    else if (event.key === "n") form.elements.note.focus();
    else if (event.key === "Enter" && !event.target.closest?.("a, button, summary")) form.requestSubmit();
    else done = false;
    if (done) event.preventDefault();
  });
})();

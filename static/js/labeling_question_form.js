/* The form of a question shows only what belongs to its kind. */
(() => {
  "use strict";

  const form = document.querySelector("[data-question-form]");
  const kind = form.querySelector('select[name="kind"]');
  const show = () => { for (const part of form.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(kind.value); };
  kind.addEventListener("change", show);
  show();
})();

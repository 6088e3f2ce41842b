/* Forms whose fields depend on a choice: <form data-chooser="kind"> shows of its [data-for] parts those that name the value
   of the field `kind`. Without JavaScript all parts are there, and the server does not read the others. */
(() => {
  "use strict";

  function show(form) {
    const choice = form.elements[form.dataset.chooser].value;
    for (const part of form.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(choice);
    }
  }

  function showAll() {
    for (const form of document.querySelectorAll("form[data-chooser]")) show(form);
  }

  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.dataset.chooser && form.dataset.chooser === event.target.name) show(form);
  });
  document.addEventListener("htmx:after:swap", showAll);
  window.addEventListener("pageshow", showAll);
  showAll();
})();

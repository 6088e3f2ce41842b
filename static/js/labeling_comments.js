/* The thread between one labeler and the reviewers about the item on the screen. */
(() => {
  "use strict";

  /* Opens the thread of what `current()` gives; `address` is that of item 0. */
  function labelComments(post, address, current) {
    const dialog = document.getElementById("label-comments");
    const form = dialog.querySelector("form");
    const field = dialog.querySelector("textarea");

    async function open(text = "") {
      if (!current()) return;
      try {
        const answer = await post(address.replace("/items/0/", `/items/${current().id}/`), { text });
        dialog.querySelector("[data-thread]").replaceChildren(...answer.comments.map((line) => {
          const entry = document.createElement("li");
          entry.append(Object.assign(document.createElement("strong"), { textContent: line.author }), ` ${line.text}`);
          return entry;
        }));
        field.value = "";
        if (!dialog.open) dialog.showModal();
        field.focus();
      } catch (error) {
        window.ftportal.showError(error.message);
      }
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (text) open(text);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
    });
    return open;
  }

  window.ftportal = { ...window.ftportal, labelComments };
})();

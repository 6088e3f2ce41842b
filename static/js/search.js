/* The search of the top bar. Ctrl+K (Cmd+K) opens it anywhere, arrows move through what was found, Enter opens the first
   hit. Without this script the button leads to the page of the search. */
(() => {
  "use strict";

  function open() {
    const dialog = document.getElementById("search-dialog");
    if (dialog && !dialog.open) {
      if (document.querySelector("dialog[open]")) return;
      dialog.showModal();
    }
    document.querySelector("[data-search] .search-input")?.select();
  }

  document.addEventListener("click", (event) => {
    const dialog = document.getElementById("search-dialog");
    if (event.target === dialog) dialog.close(); // the backdrop
    const button = event.target.closest("[data-search-open]");
    if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      if (!document.querySelector("[data-search]")) return;
      event.preventDefault();
      return open();
    }
    const search = event.target.closest?.("[data-search]");
    if (!search) return;
    const hits = [...search.querySelectorAll(".search-hit")];
    const input = search.querySelector(".search-input");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const places = [input, ...hits];
      const step = event.key === "ArrowDown" ? 1 : -1;
      const next = places[Math.min(places.length - 1, Math.max(0, places.indexOf(event.target) + step))];
      event.preventDefault();
      next.focus();
    } else if (event.key === "Enter" && event.target === input && hits.length) {
      // Only what answers the words as they stand now; else the form is sent, and its page shows the answer.
      if (search.querySelector("[data-typed]")?.dataset.typed !== input.value.trim()) return;
      event.preventDefault();
      hits[0].click();
    }
  });
})();

/* Listens for changes of background work and tells the page: `operations-changed` on the body. htmx elements that show
   such work refresh on it. The stream is closed while nobody looks, so that tabs do not use up the browser's connections;
   without it the elements still poll, only slower. */
(() => {
  "use strict";

  let source = null;

  function open() {
    const holder = document.querySelector("[data-operations-stream]");
    if (!holder || source || document.hidden) return;
    source = new EventSource(holder.dataset.operationsStream);
    source.addEventListener("operations", () => {
      document.body.dispatchEvent(new CustomEvent("operations-changed", { bubbles: true }));
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", open);
  else open();
})();

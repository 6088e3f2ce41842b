/* Copy buttons: [data-copy] holds the text. The button says for two seconds that it worked. */
(() => {
  "use strict";

  /** For pages served without TLS, where the clipboard interface is missing. */
  function copyBySelection(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const copied = await copy(button.dataset.copy);
    button.focus();
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = copied ? "Copied" : "Copying failed: select the text instead";
    if (!copied) return;
    button.dataset.copied = "yes";
    setTimeout(() => {
      delete button.dataset.copied;
      if (announcer) announcer.textContent = "";
    }, 2000);
  });
})();

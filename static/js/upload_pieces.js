/* Sending a large file in pieces. The server says how much of it is there, so that an upload goes on where it stopped:
   after a lost connection by itself, after a reload or days later when the same file is chosen again. */
(() => {
  "use strict";

  const ATTEMPTS = 6; // in a row without a byte; the waits between them add up to half a minute
  const wait = (seconds, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, seconds * 1000);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(new DOMException("Stopped", "AbortError"));
      });
    });

  const post = (url, body, headers, signal) =>
    fetch(url, {
      method: "POST",
      body,
      headers: { "X-CSRFToken": window.ftportal?.csrfToken?.() ?? "", Accept: "application/json", ...headers },
      signal,
    });

  async function answerOf(response) {
    if (response.ok || (response.status === 409 && response.headers.get("Content-Type")?.startsWith("application/json"))) {
      return response.json();
    }
    if (response.status >= 500) throw new TypeError("The server met an error");
    const refused = new Error(
      response.status === 403
        ? "You may not upload here, or this page was open too long. Reload and try again."
        : "The server refused the file. Reload the page and try again.",
    );
    refused.isFinal = true;
    throw refused;
  }

  /** Resolves to the number of the upload once all of the file is there; rejects with a sentence for the person. */
  async function uploadPieces(url, file, signal, progress) {
    const about = new URLSearchParams({ name: file.name, size: file.size, modified: file.lastModified });
    let state = null;
    let failures = 0;
    for (;;) {
      try {
        state ??= await answerOf(await post(url, about, {}, signal));
        progress(state.received);
        if (state.received === file.size) return state.upload;
        const piece = file.slice(state.received, state.received + state.piece);
        const headers = { "Content-Type": "application/octet-stream", "X-Upload-Offset": String(state.received) };
        state = await answerOf(await post(state.url, piece, headers, signal));
        failures = 0;
      } catch (error) {
        if (error.name === "AbortError" || error.isFinal) throw error;
        if (error.name === "NotReadableError") throw new Error("The file was changed or removed. Choose it again.");
        failures += 1;
        if (failures === ATTEMPTS) {
          throw new Error("The connection was lost. What was sent is kept: upload the same file again to go on.");
        }
        await wait(2 ** (failures - 1), signal);
        state = null; // ask anew how much is there
      }
    }
  }

  window.ftportal = { ...window.ftportal, uploadPieces, piecesFrom: 8 * 1024 * 1024 };
})();

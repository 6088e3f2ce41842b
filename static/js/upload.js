/* Uploads with progress: <form data-upload> with an upload zone inside. The server answers as it does to a plain form:
   a redirect on success, or 422 with the form again. Without JavaScript the form is simply posted.
   Attributes, not `form.dataset`: a field called "dataset" hides that. */
(() => {
  "use strict";

  const readable = (bytes) => {
    if (bytes < 1000) return `${bytes} bytes`;
    const units = ["kB", "MB", "GB", "TB"];
    let size = bytes;
    let unit = -1;
    do {
      size /= 1000;
      unit += 1;
    } while (size >= 1000 && unit < units.length - 1);
    return `${size.toFixed(size >= 100 ? 0 : 1)}\u00a0${units[unit]}`;
  };

  const parts = (zone) => ({
    input: zone.querySelector("input[type=file]"),
    status: zone.querySelector(".upload-status"),
    name: zone.querySelector(".upload-name"),
    figures: zone.querySelector(".upload-figures"),
    bar: zone.querySelector(".bar"),
    fill: zone.querySelector(".bar-fill"),
    message: zone.querySelector(".upload-message"),
    cancel: zone.querySelector("[data-upload-cancel]"),
  });

  function say(zone, text, failed = false) {
    const { status, message } = parts(zone);
    status.hidden = false;
    zone.classList.toggle("upload-failed", failed);
    message.textContent = text;
  }

  /** Names the chosen files; true when they may be sent. */
  function describe(zone) {
    const { input, status, name, figures, bar } = parts(zone);
    const files = [...input.files];
    status.hidden = files.length === 0;
    if (!files.length) return false;
    const size = files.reduce((sum, file) => sum + file.size, 0);
    name.textContent = files.length === 1 ? files[0].name : `${files.length} files`;
    figures.textContent = readable(size);
    bar.hidden = true;
    if (files.some((file) => file.size === 0)) {
      say(zone, "The file is empty. Choose a file with data in it.", true);
      return false;
    }
    if (zone.dataset.maxBytes && size > Number(zone.dataset.maxBytes)) {
      say(zone, `The file is larger than ${zone.dataset.maxText}. Split it into several files.`, true);
      return false;
    }
    say(zone, "");
    return true;
  }

  function showProgress(zone, event, startedAt) {
    const { bar, fill, figures } = parts(zone);
    if (!event.lengthComputable) return;
    const share = event.loaded / event.total;
    const seconds = (performance.now() - startedAt) / 1000;
    const sent = event.loaded - (event.skipped ?? 0); // what an earlier attempt sent says nothing about the speed
    const left = seconds > 1 && sent > 0 ? (seconds / sent) * (event.total - event.loaded) : null;
    bar.hidden = false;
    bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    fill.style.width = `${(share * 100).toFixed(1)}%`;
    figures.textContent =
      `${readable(event.loaded)} of ${readable(event.total)}` +
      (seconds > 1 ? ` · ${readable(sent / seconds)}/s` : "") +
      (left !== null && left >= 1 ? ` · about ${Math.ceil(left)} s left` : "");
    if (share === 1) say(zone, "Uploaded. The server is reading it…");
  }

  /** The form with its errors comes back; the chosen file stays chosen. */
  function replaceForm(form, html) {
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const selector = form.id ? `#${CSS.escape(form.id)}` : "form[data-upload]";
    const fresh = parsed.querySelector(selector);
    if (!fresh) return false;
    const files = form.querySelector("input[type=file]")?.files;
    form.replaceWith(fresh);
    const input = fresh.querySelector("input[type=file]");
    if (input && files?.length) {
      input.files = files;
      fresh.querySelectorAll("[data-upload-zone]").forEach((zone) => {
        zone.classList.add("upload-ready");
        describe(zone);
      });
    }
    window.htmx?.process(fresh);
    (fresh.querySelector("[data-focus-after-swap], [role=alert], [aria-invalid=true]") ?? fresh).focus?.();
    return true;
  }

  function failure(request) {
    const id = request.getResponseHeader("X-Request-ID");
    const suffix = id ? ` (request ${id})` : "";
    if (request.status === 413) return "The server does not accept a file this large. Split it into several files.";
    if (request.status === 403) return "You may not upload here, or this page was open too long. Reload and try again.";
    const box = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("[data-error-box]");
    if (box) return box.textContent.replace(/\s+/g, " ").trim();
    return `The server met an error while it read the file. Nothing was saved; try again.${suffix}`;
  }

  /** A large file goes in pieces first, which survives a lost connection; then the form is sent without it. */
  async function sendPieces(form, zone, submitter, file) {
    const { cancel } = parts(zone);
    const buttons = [...form.querySelectorAll("button[type=submit]")];
    const startedAt = performance.now();
    const stop = new AbortController();
    let first = null;
    form.setAttribute("data-uploading", "");
    for (const button of buttons) button.disabled = true;
    cancel.hidden = false;
    cancel.onclick = () => stop.abort();
    say(zone, "Uploading…");
    try {
      const upload = await window.ftportal.uploadPieces(form.getAttribute("data-upload-pieces"), file, stop.signal, (loaded) => {
        first ??= loaded;
        showProgress(zone, { lengthComputable: true, loaded, total: file.size, skipped: first }, startedAt);
      });
      send(form, zone, submitter, upload);
    } catch (error) {
      form.removeAttribute("data-uploading");
      cancel.hidden = true;
      for (const button of buttons) button.disabled = false;
      if (error.name === "AbortError") say(zone, "Stopped. Upload the file again to go on where it stopped.");
      else say(zone, error.message, true);
    }
  }

  function send(form, zone, submitter, upload = null) {
    const { cancel } = parts(zone);
    const request = new XMLHttpRequest();
    const startedAt = performance.now();
    const buttons = [...form.querySelectorAll("button[type=submit]")];
    const finish = () => {
      form.removeAttribute("data-uploading");
      cancel.hidden = true;
      for (const button of buttons) button.disabled = false;
    };
    const body = new FormData(form);
    if (upload !== null) {
      body.delete(parts(zone).input.name);
      body.set("upload", upload);
    }
    if (submitter?.name) body.append(submitter.name, submitter.value);
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true"); // a redirect comes as a header, so its message is not spent here
    request.setRequestHeader("X-CSRFToken", window.ftportal?.csrfToken?.() ?? "");
    if (upload === null) request.upload.addEventListener("progress", (event) => showProgress(zone, event, startedAt));
    request.addEventListener("load", () => {
      const target = request.getResponseHeader("HX-Redirect") ?? request.getResponseHeader("HX-Location");
      if (target) return window.location.assign(target);
      if (request.status === 422 && replaceForm(form, request.responseText)) return;
      if (request.status >= 200 && request.status < 300) {
        if (request.responseURL && request.responseURL !== form.action) return window.location.assign(request.responseURL);
        if (replaceForm(form, request.responseText)) return;
      }
      finish();
      say(zone, failure(request), true);
    });
    request.addEventListener("error", () => {
      finish();
      say(zone, "The connection was lost. Nothing was saved; your file is still chosen, try again.", true);
    });
    request.addEventListener("abort", () => {
      finish();
      describe(zone);
      say(zone, "Cancelled. Nothing was saved.");
    });
    form.setAttribute("data-uploading", "");
    for (const button of buttons) button.disabled = true;
    cancel.hidden = false;
    cancel.onclick = () => request.abort();
    if (upload === null) say(zone, "Uploading…");
    request.send(body);
  }

  document.addEventListener("change", (event) => {
    const zone = event.target.closest?.("[data-upload-zone]");
    if (zone && event.target.type === "file") describe(zone);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const zone = form.querySelector?.("[data-upload-zone]");
    if (!form.hasAttribute?.("data-upload") || !zone) return;
    const chosen = parts(zone).input.files.length > 0;
    if (!chosen) return; // another way in, such as pasted text
    event.preventDefault();
    if (form.hasAttribute("data-uploading")) return;
    if (!describe(zone)) return;
    const files = parts(zone).input.files;
    const inPieces = form.getAttribute("data-upload-pieces") && files.length === 1 && files[0].size > window.ftportal?.piecesFrom;
    if (inPieces) sendPieces(form, zone, event.submitter, files[0]);
    else send(form, zone, event.submitter);
  });

  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      const zone = event.target.closest?.("[data-upload-zone]");
      zone?.classList.toggle("upload-dragging", type === "dragenter" || type === "dragover");
    });
  }

  const start = () => document.querySelectorAll("[data-upload-zone]").forEach((zone) => zone.classList.add("upload-ready"));
  document.addEventListener("htmx:after:swap", start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

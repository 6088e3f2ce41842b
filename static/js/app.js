/* Everything that concerns htmx and the shell, in one place: protection tokens, errors, double submits, dialogs,
   toasts, menus, and the sign that says whether the page is live. */
(() => {
  "use strict";

  const doc = document;

  // --- Toasts -----------------------------------------------------------------------------------------------------
  const HIDE_AFTER_MS = 8000;

  function scheduleHiding(toast) {
    let timer = setTimeout(() => toast.remove(), HIDE_AFTER_MS);
    const hold = () => clearTimeout(timer);
    const resume = () => {
      clearTimeout(timer);
      timer = setTimeout(() => toast.remove(), HIDE_AFTER_MS);
    };
    toast.addEventListener("pointerenter", hold);
    toast.addEventListener("pointerleave", resume);
    toast.addEventListener("focusin", hold);
    toast.addEventListener("focusout", resume);
  }

  function watchToasts(root) {
    for (const toast of root.querySelectorAll("[data-toast-hides]")) {
      toast.removeAttribute("data-toast-hides");
      scheduleHiding(toast);
    }
  }

  /** Shows an error once: the same words already on screen are not repeated. */
  function showError(text) {
    const region = doc.getElementById("toasts");
    const template = doc.getElementById("toast-template");
    if (!region || !template) return;
    const toast = template.content.firstElementChild.cloneNode(true);
    const body = toast.querySelector(".toast-text");
    body.textContent = text;
    for (const other of region.querySelectorAll(".toast-text")) {
      if (other.textContent.trim() === body.textContent.trim()) return;
    }
    region.append(toast);
  }

  doc.addEventListener("click", (event) => {
    event.target.closest("[data-toast-close]")?.closest(".toast-note")?.remove();
  });

  // --- Requests ---------------------------------------------------------------------------------------------------
  const busy = new WeakSet();
  const csrfToken = () => doc.querySelector('meta[name="csrf-token"]')?.content ?? "";

  doc.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    const safe = ctx.request.method === "GET";
    const polled = ctx.sourceEvent?.type === "every";
    if (polled && doc.hidden) return event.preventDefault(); // nobody is looking
    if (!safe && busy.has(ctx.sourceElement)) return event.preventDefault(); // pressed twice
    if (!safe) ctx.request.headers["X-CSRFToken"] = csrfToken();
  });
  doc.addEventListener("htmx:before:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method !== "GET") busy.add(ctx.sourceElement);
  });
  doc.addEventListener("htmx:finally:request", (event) => busy.delete(event.detail.ctx.sourceElement));

  // A plain form is sent once; its buttons come back when the browser restores the page.
  doc.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("data-upload") || event.submitter?.hasAttribute("data-download")) return;
    if (form.hasAttribute("data-sent")) return event.preventDefault();
    form.setAttribute("data-sent", "");
    event.submitter?.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of doc.querySelectorAll("form[data-sent]")) {
      form.removeAttribute("data-sent");
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  });

  // --- Errors -----------------------------------------------------------------------------------------------------
  const isQuiet = (element) => Boolean(element?.closest?.("[data-quiet]"));

  /** An expected error carries its own words; the server marks them. Nothing else of a failed answer is shown. */
  function serverWords(text) {
    if (!text || !text.includes("data-error-box")) return null;
    const parsed = new DOMParser().parseFromString(text, "text/html");
    const words = parsed.querySelector("[data-error-box]")?.textContent.replace(/\s+/g, " ").trim();
    return words || null;
  }

  doc.addEventListener("htmx:response:error", (event) => {
    const { ctx } = event.detail;
    const { status, headers } = ctx.response;
    if (status === 422) return; // the form comes back with its errors
    if (isQuiet(ctx.sourceElement)) return setLive(ctx.sourceElement, "cut");
    const id = headers.get("X-Request-ID");
    const words = serverWords(ctx.text);
    if (words) return showError(words);
    const reason = status >= 500 ? "The server met an error it did not expect." : "The server refused this request.";
    showError(`${reason} Nothing on this page was lost; try again. (Status ${status}${id ? `, request ${id}` : ""})`);
  });
  doc.addEventListener("htmx:error", (event) => {
    const { ctx, error } = event.detail;
    if (!ctx) return; // a mistake in the page itself; the console has it
    if (isQuiet(ctx.sourceElement)) return setLive(ctx.sourceElement, "cut");
    const late = ctx.request?.signal?.reason === "timeout";
    const offline = error instanceof TypeError;
    if (late) showError("The server took too long to answer. Nothing on this page was lost; try again.");
    else if (offline) showError("The server could not be reached. Nothing on this page was lost; try again when you are online.");
    else showError("This part of the page could not be shown. Reload the page.");
  });

  // --- The sign that says whether the page is live -------------------------------------------------------------------
  const LIVE_WORDS = { on: "Live", cut: "Not live: connection lost, trying again", off: "Not live: reload to update" };
  const liveStates = new Map(); // source element -> state

  function setLive(source, state) {
    if (state === null) liveStates.delete(source);
    else liveStates.set(source, state);
    for (const element of liveStates.keys()) if (!element.isConnected) liveStates.delete(element);
    for (const sign of doc.querySelectorAll("[data-live]")) showLive(sign);
  }

  /** A sign inside a chart with a stream of its own speaks for that chart, any other for the page. */
  function showLive(sign) {
    const scope = sign.closest("[data-loss-chart][data-stream-url]") ?? doc.documentElement;
    const states = [...liveStates].filter(([element]) => scope.contains(element)).map(([, state]) => state);
    sign.hidden = states.length > 0 && states.every((state) => state === "finished");
    const state = states.includes("cut") ? "cut" : states.includes("on") ? "on" : "off";
    if (sign.dataset.liveState === state) return;
    sign.dataset.liveState = state;
    sign.querySelector("[data-live-text]").textContent = LIVE_WORDS[state];
  }

  doc.addEventListener("live:state", (event) => setLive(event.target, event.detail.state));
  doc.addEventListener("htmx:sse:after:connection", (event) => setLive(event.target, "on"));
  doc.addEventListener("htmx:sse:error", (event) => setLive(event.target, "cut"));
  doc.addEventListener("htmx:sse:close", (event) => {
    const reason = event.detail.reason;
    setLive(event.target, reason === "message" ? "finished" : reason === "ended" ? "cut" : null);
  });
  /** data-follows: what was chosen has a page of its own below this address. Anywhere else a redirect is not meant. */
  function followed(source, address) {
    const below = source.closest?.("[data-follows]")?.dataset.follows;
    return Boolean(below && address && new URL(address, location.href).pathname.startsWith(below));
  }
  doc.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (!isQuiet(ctx.sourceElement)) return;
    if (followed(ctx.sourceElement, ctx.response.headers.get("HX-Redirect"))) return;
    if (ctx.response.headers.has("HX-Redirect")) {
      event.preventDefault(); // a refresh in the background never takes the page away, as after signing out elsewhere
      setLive(ctx.sourceElement, "cut");
    } else if (ctx.response.status < 400 && liveStates.has(ctx.sourceElement)) {
      setLive(ctx.sourceElement, null);
    }
  });

  // --- Tables wider than the screen ---------------------------------------------------------------------------------
  /** Without a link inside nothing would bring the keyboard to them, and so to what is cut off. */
  function reach(frame) {
    const scrolls = frame.scrollWidth > frame.clientWidth;
    if (scrolls && !frame.querySelector("a[href], button, input, select, textarea, summary")) frame.tabIndex = 0;
    else frame.removeAttribute("tabindex");
  }
  const frames = new ResizeObserver((entries) => entries.forEach((entry) => reach(entry.target)));
  function watchFrames() {
    for (const frame of doc.querySelectorAll(".table-frame")) {
      frames.observe(frame); // a frame that is watched already stays so
      reach(frame);
    }
  }

  // --- After a swap -----------------------------------------------------------------------------------------------
  doc.addEventListener("htmx:after:swap", () => {
    watchToasts(doc);
    watchFrames();
    for (const sign of doc.querySelectorAll("[data-live]")) showLive(sign);
  });
  doc.addEventListener("htmx:after:settle", (event) => {
    for (const node of event.detail.newContent) {
      const wanted = node.matches?.("[data-focus-after-swap]") ? node : node.querySelector?.("[data-focus-after-swap]");
      if (!wanted) continue;
      wanted.removeAttribute("data-focus-after-swap"); // once, not at every refresh
      wanted.focus();
    }
  });

  // --- Dialogs and menus ------------------------------------------------------------------------------------------
  // Browsers with invoker commands need nothing; the others get the same from the data attributes.
  if (!("commandForElement" in HTMLButtonElement.prototype)) {
    doc.addEventListener("click", (event) => {
      const opener = event.target.closest("[data-dialog-open]");
      if (opener) doc.getElementById(opener.dataset.dialogOpen)?.showModal();
      event.target.closest("[data-dialog-close]")?.closest("dialog")?.close();
    });
  }
  doc.addEventListener("click", (event) => {
    if (event.target instanceof HTMLDialogElement) {
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside && event.detail > 0) event.target.close(); // a click beside it
    }
    for (const menu of doc.querySelectorAll("details[data-popover][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  doc.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of doc.querySelectorAll("details[data-popover][open]")) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });

  window.ftportal = { ...window.ftportal, showError, csrfToken };
  const start = () => {
    watchToasts(doc);
    watchFrames();
    doc.querySelector(".field-invalid [aria-invalid='true']")?.focus({ preventScroll: false });
  };
  if (doc.readyState === "loading") doc.addEventListener("DOMContentLoaded", start);
  else start();
})();

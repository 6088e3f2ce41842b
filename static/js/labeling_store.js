/* What must survive a crash or a lost network: unfinished answers and labels on their way, in this browser and on the
   server. Labels are sent one after another, again and again until the server has them; each carries an id of its own,
   so that the server keeps it once however often it comes. */
(() => {
  "use strict";

  const WAITS = [1000, 2000, 4000, 8000, 15000, 30000];

  /* Errors of a call: `status` 0 means that no answer came. */
  class CallError extends Error {
    constructor(status, body) {
      super(body?.error?.message ?? "The server did not answer.");
      Object.assign(this, { status, code: body?.error?.code ?? "", problems: body?.error?.problems ?? {} });
    }
  }

  const PRUNE_AFTER = 30 * 24 * 3600 * 1000;

  async function answerOf(url, data, options) {
    let response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": window.ftportal.csrfToken() },
        body: JSON.stringify(data),
        redirect: "manual",
        ...options,
      });
    } catch {
      throw new CallError(0);
    }
    if (response.type === "opaqueredirect") throw new CallError(401);
    const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
    const body = isJson ? await response.json().catch(() => null) : null;
    if (!response.ok || body === null) throw new CallError(response.ok ? 502 : response.status, body);
    return body;
  }

  /* Signing in again gives the browser another token of protection: the page takes it over and asks once more. */
  async function post(url, data, options = {}) {
    try {
      return await answerOf(url, data, options);
    } catch (error) {
      if (error.status !== 403 || error.code || !(await tokenTakenOver())) throw error;
      return answerOf(url, data, options);
    }
  }

  async function tokenTakenOver() {
    try {
      const response = await fetch(window.location.href, { redirect: "manual" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const token = page.querySelector('meta[name="csrf-token"]')?.content;
      if (!response.ok || !token) return false;
      document.querySelector('meta[name="csrf-token"]').content = token;
      return true;
    } catch {
      return false;
    }
  }

  // Over plain HTTP in a team's network browsers have no crypto.randomUUID.
  function newId() {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  const stateOf = (error) => {
    if (error.code === "other_person") return "other-person";
    return { 0: "offline", 401: "signed-out", 403: "no-part", 404: "no-part" }[error.status] ?? "trouble";
  };

  /* Every unfinished answer and every label on its way stands under a name of its own in the browser's storage: tabs
     that are open at once write beside each other, never over each other. */
  class Store {
    constructor(config, report) {
      Object.assign(this, { urls: config.urls, me: config.me, report, sending: false, attempt: 0, timer: 0, known: () => [] });
      this.prefix = `ftportal:label:${config.session}:${config.me}:`;
      this.memory = new Map();
      this.unkept = new Set();
      this.outbox = this.names("out:").map((name) => this.read(name)).filter(Boolean).sort((one, other) => one.at - other.at);
      for (const name of this.names("item:")) if (!(this.read(name)?.revision > Date.now() - PRUNE_AFTER)) this.remove(name);
      window.addEventListener("online", () => this.flush());
      document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") this.flush(); });
      window.addEventListener("beforeunload", (event) => { if (this.unkept.size) event.preventDefault(); });
    }

    names(kind) {
      try {
        return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix + kind)).map((key) => key.slice(this.prefix.length));
      } catch {
        return [];
      }
    }

    read(name) {
      try {
        return JSON.parse(localStorage.getItem(this.prefix + name)) ?? this.memory.get(name);
      } catch {
        return this.memory.get(name);
      }
    }

    /* Without room in the storage the page remembers it, and the browser asks before it closes the tab. */
    write(name, value) {
      try {
        localStorage.setItem(this.prefix + name, JSON.stringify(value));
        this.forgetInMemory(name);
      } catch {
        this.memory.set(name, value);
        if (name.startsWith("out:")) this.unkept.add(name);
      }
    }

    remove(name) {
      this.forgetInMemory(name);
      try {
        localStorage.removeItem(this.prefix + name);
      } catch { /* it was never there */ }
    }

    forgetInMemory(name) { this.memory.delete(name); this.unkept.delete(name); }

    /* The newer of what this browser and what the server kept. */
    restored(item) {
      const here = this.read(`item:${item.id}`);
      return here && here.revision >= item.revision ? here : { answers: item.unsent, seconds: item.seconds, revision: item.revision };
    }

    keep(item, answers, seconds) {
      this.write(`item:${item}`, { answers, seconds, revision: Date.now() });
      this.report("unsaved");
      this.saveSoon(item, 700);
    }

    saveSoon(item, wait) {
      clearTimeout(this.saving);
      this.saving = setTimeout(() => this.save(item), wait);
    }

    async save(item, options) {
      const kept = this.read(`item:${item}`);
      if (!kept || this.savedRevision === kept.revision) return;
      try {
        const answer = await post(this.urls.save, { me: this.me, item, ...kept }, options);
        this.savedRevision = kept.revision;
        if (this.read(`item:${item}`)?.revision === kept.revision) this.report(answer.saved ? "saved" : "lost", { item });
      } catch (error) {
        this.report(stateOf(error), { error });
        this.saveSoon(item, 5000);
      }
    }

    forget(item) { this.remove(`item:${item}`); }

    submit(label) {
      const sent = { ...label, client_id: newId(), at: Date.now() };
      this.outbox.push(sent);
      this.write(`out:${sent.client_id}`, sent);
      this.forget(label.item);
      clearTimeout(this.saving);
      this.flush();
    }

    isOnItsWay(item) { return this.outbox.some((label) => label.item === item); }

    async flush() {
      if (this.sending || !this.outbox.length) return;
      clearTimeout(this.timer);
      this.sending = true;
      const label = this.outbox[0];
      this.report("sending", { waiting: this.outbox.length });
      try {
        const answer = await post(this.urls.submit, { ...label, me: this.me, have: this.known() });
        this.done(label);
        this.report("kept", { label, answer });
      } catch (error) {
        if (error.status === 422 || error.status === 409 || error.status === 400) {
          this.done(label);
          this.report("refused", { label, error });
        } else {
          this.retry(error);
          return;
        }
      }
      this.sending = false;
      this.flush();
    }

    done(label) {
      this.attempt = 0;
      this.outbox = this.outbox.filter((each) => each.client_id !== label.client_id);
      this.remove(`out:${label.client_id}`);
    }

    retry(error) {
      this.sending = false;
      const wait = WAITS[Math.min(this.attempt, WAITS.length - 1)];
      this.attempt += 1;
      this.timer = setTimeout(() => this.flush(), wait);
      this.report(stateOf(error), { error, waiting: this.outbox.length });
    }
  }

  window.ftportal = { ...window.ftportal, labelStore: { Store, post, stateOf } };
})();

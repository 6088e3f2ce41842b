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

  async function post(url, data, options = {}) {
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

  class Store {
    constructor(config, report) {
      Object.assign(this, { urls: config.urls, report, sending: false, attempt: 0, timer: 0, known: () => [] });
      this.name = `ftportal:label:${config.session}:${config.me}`;
      const kept = this.read();
      this.unsent = kept.unsent;
      this.outbox = kept.outbox;
      window.addEventListener("online", () => this.flush());
      document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") this.flush(); });
    }

    read() {
      try {
        const kept = JSON.parse(localStorage.getItem(this.name)) ?? {};
        return { unsent: kept.unsent ?? {}, outbox: kept.outbox ?? [] };
      } catch {
        return { unsent: {}, outbox: [] };
      }
    }

    write() {
      try {
        localStorage.setItem(this.name, JSON.stringify({ unsent: this.unsent, outbox: this.outbox }));
        return true;
      } catch {
        return false; // no room, or storage is switched off: the server's copy remains
      }
    }

    /* The newer of what this browser and what the server kept. */
    restored(item) {
      const here = this.unsent[item.id];
      return here && here.revision >= item.revision ? here : { answers: item.unsent, seconds: item.seconds, revision: item.revision };
    }

    keep(item, answers, seconds) {
      this.unsent[item] = { answers, seconds, revision: Date.now() };
      this.write();
      this.report("unsaved");
      clearTimeout(this.saving);
      this.saving = setTimeout(() => this.save(item), 700);
    }

    async save(item, options) {
      const kept = this.unsent[item];
      if (!kept || kept.savedRevision === kept.revision) return;
      const { revision } = kept;
      try {
        const answer = await post(this.urls.save, { item, ...kept }, options);
        kept.savedRevision = revision;
        if (this.unsent[item]?.revision === revision) this.report(answer.saved ? "saved" : "lost", { item });
      } catch (error) {
        this.report(error.status === 401 ? "signed-out" : "offline", { error });
        clearTimeout(this.saving);
        this.saving = setTimeout(() => this.save(item), 5000);
      }
    }

    forget(item) { delete this.unsent[item]; this.write(); }

    submit(label) {
      this.outbox.push(label);
      delete this.unsent[label.item];
      clearTimeout(this.saving);
      this.write();
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
        const answer = await post(this.urls.submit, { ...label, have: this.known() });
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
      this.write();
    }

    retry(error) {
      this.sending = false;
      const wait = WAITS[Math.min(this.attempt, WAITS.length - 1)];
      this.attempt += 1;
      this.timer = setTimeout(() => this.flush(), wait);
      this.report(error.status === 401 ? "signed-out" : "offline", { error, waiting: this.outbox.length });
    }
  }

  window.ftportal = { ...window.ftportal, labelStore: { Store, post } };
})();

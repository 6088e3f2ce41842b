/* The labeling page. One item is on the screen and the next one is here already: submitting shows it at once, while the
   label goes to the server behind it. */
(() => {
  "use strict";

  const root = document.getElementById("label");
  if (!root) return;
  const config = JSON.parse(document.getElementById("label-config").textContent);
  const { makeQuestion, labelStore, showError } = window.ftportal;
  const { Store, post } = labelStore;
  const find = (name) => root.querySelector(`[data-${name}]`);
  const columns = find("columns");
  const IDLE_AFTER = 60_000; // without a key or a click, time does not count as work

  const items = new Map(); // by id, as far as they are still to be labeled
  let tokens = new Map(); // id -> token of the lease
  let order = []; // ids, the one on the screen first
  let current = null;
  let seconds = 0;
  let active = Date.now();

  /* --- State of saving --------------------------------------------------------------------------------------------- */
  const STATES = {
    ready: ["done", "Everything is saved"],
    saved: ["done", "Everything is saved"],
    unsaved: ["working", "Saving"],
    sending: ["working", "Saving"],
    offline: ["attention", "No connection: kept in this browser, sent when it is back"],
    "signed-out": ["failed", "You are signed out: kept in this browser. Sign in again in another tab"],
    loading: ["working", "Loading"],
  };

  function showState(name, waiting = 0) {
    const [tone, text] = STATES[name];
    const element = root.querySelector(".label-state");
    element.dataset.state = name;
    element.dataset.tone = tone;
    find("state-text").textContent = waiting > 1 && tone !== "working" ? `${text} (${waiting} labels)` : text;
  }

  const store = new Store(config, (event, { item, label, answer, error, waiting } = {}) => {
    if (event === "kept") {
      absorb(answer);
      if (answer.kept.state === "surplus") showError("This label came after the item had gone to somebody else. It is kept as surplus.");
      showState(store.outbox.length ? "sending" : "ready");
    } else if (event === "refused") {
      refused(label, error);
    } else if (event === "lost") {
      find("lost").hidden = item !== current?.id;
      showState("saved");
    } else {
      showState(event, waiting);
    }
  });
  store.known = () => [...items.keys()];

  /* --- Questions --------------------------------------------------------------------------------------------------- */
  const questions = config.questions.map((data) => makeQuestion(root.querySelector(`[data-question="${CSS.escape(data.key)}"]`), data, changed));

  const answers = () => Object.fromEntries(questions.map((question) => [question.key, question.value]).filter(([, value]) => value !== null));

  function changed() {
    if (!current) return;
    markOn();
    store.keep(current.id, answers(), seconds);
  }

  /* The question that number keys go to: the one with the focus, else the first without an answer, else the last. */
  function questionOn() {
    const focused = document.activeElement?.closest?.("[data-question]");
    return questions.find((question) => question.field === focused)
      ?? questions.find((question) => !question.isAnswered)
      ?? questions.at(-1);
  }

  let touched = -1; // index of the question that was answered or entered last
  function touch(field) {
    const at = questions.findIndex((question) => question.field === field);
    if (at >= 0) touched = at;
  }

  function markOn() {
    const on = questionOn();
    for (const question of questions) question.field.classList.toggle("ask-on", questions.length > 1 && question === on);
  }

  /* --- Items ------------------------------------------------------------------------------------------------------- */
  function absorb(answer) {
    tokens = new Map(answer.held.map((lease) => [lease.item, lease.token]));
    for (const item of answer.items) if (!store.isOnItsWay(item.id)) items.set(item.id, item);
    const held = answer.held.map((lease) => lease.item).filter((id) => items.has(id) && !store.isOnItsWay(id));
    order = [...(current ? [current.id] : []), ...held.filter((id) => id !== current?.id)];
    for (const id of items.keys()) if (!order.includes(id)) items.delete(id);
    if (current) find("lost").hidden = tokens.has(current.id);
    tally(answer.tally);
    replies(answer.replies);
    if (!current) showNext(answer.handing_out);
  }

  function replies(count) {
    const notice = root.querySelector("[data-replies]");
    notice.hidden = !count;
    notice.querySelector("[data-replies-count]").textContent = count === 1 ? "A comment to you that you have not read" : `${count} comments to you that you have not read`;
  }

  function tally({ mine, done, wanted }) {
    const format = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, " ");
    find("mine").textContent = format(mine);
    find("done").textContent = format(done);
    find("wanted").textContent = format(wanted);
    const percent = wanted ? Math.floor((100 * done) / wanted) : 0;
    find("bar").setAttribute("aria-valuenow", percent);
    find("bar").firstElementChild.style.width = `${percent}%`;
  }

  function showNext(isHandingOut = true) {
    const id = order[0];
    if (id === undefined || !items.has(id)) return showNothing(isHandingOut);
    current = items.get(id);
    const kept = store.restored(current);
    seconds = kept.seconds ?? 0;
    active = Date.now();
    find("position").textContent = current.position;
    find("context").innerHTML = current.context; // made by the server, with every text escaped
    find("answer").textContent = current.answer;
    const isShown = config.questions.some((question) => ["edit", "prefer", "rank"].includes(question.kind));
    find("answer-box").hidden = !current.answer || isShown;
    find("returned").hidden = !current.returned;
    find("returned").textContent = `A reviewer returned your label: ${current.returned}`;
    find("lost").hidden = true;
    for (const question of questions) question.start(current, kept.answers?.[question.key]);
    columns.hidden = false;
    find("empty").hidden = true;
    find("item-panel").scrollTop = 0;
    root.querySelector(".label-questions").scrollTop = 0;
    focusFirst();
    markOn();
    return undefined;
  }

  /* Many labels are found by typing, texts are written: there the cursor waits. Else number keys work at once. */
  function focusFirst() {
    document.activeElement?.blur?.();
    touched = -1;
    const first = questions.find((question) => !question.isAnswered) ?? questions[0];
    if (first.filter || first.spans || (first.area && questions.length === 1)) first.focus();
  }

  function showNothing(isHandingOut) {
    current = null;
    columns.hidden = true;
    find("empty").hidden = false;
    if (store.outbox.length) return setEmpty("One moment", "Your label is on its way; the next item follows.");
    setEmpty(
      isHandingOut ? "Nothing is left for you here" : "Nothing is handed out now",
      isHandingOut
        ? "Every item is labeled, or in somebody's hands. Should one come free, it appears here."
        : "The session is paused, closed, or past its deadline. What you submitted is kept.",
    );
    setTimeout(() => { if (!current) claim(); }, 15_000);
    return undefined;
  }

  function setEmpty(title, text) {
    find("empty-title").textContent = title;
    find("empty-text").textContent = text;
  }

  async function claim() {
    try {
      absorb(await post(config.urls.claim, { have: [...items.keys()] }));
      showState(store.outbox.length ? "sending" : "ready");
    } catch (error) {
      showState(error.status === 401 ? "signed-out" : "offline");
      if (error.status === 403 || error.status === 404) return setEmpty("You do not take part any more", "A lead may have closed the session or taken you out. What you submitted is kept.");
      setTimeout(claim, 5000);
    }
    return undefined;
  }

  /* --- Submitting -------------------------------------------------------------------------------------------------- */
  function submit() {
    if (!current) return;
    performance.mark("label-submitted");
    const missing = questions.filter((question) => question.required && !question.isAnswered);
    for (const question of missing) question.refuse("This question needs an answer.");
    if (missing.length) { missing[0].focus(); markOn(); return; }
    tick();
    const label = { item: current.id, token: tokens.get(current.id) ?? "00000000-0000-0000-0000-000000000000", client_id: crypto.randomUUID?.() ?? uuid(), answers: answers(), seconds };
    items.delete(current.id);
    order = order.filter((id) => id !== label.item);
    current = null;
    store.submit(label);
    showNext();
    if (current) requestAnimationFrame(() => performance.measure("label-to-next", "label-submitted"));
  }

  // Over plain HTTP in a team's network browsers have no crypto.randomUUID.
  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  async function refused(label, error) {
    showState(store.outbox.length ? "sending" : "ready");
    showError(error.message);
    if (error.status === 409) { claim(); return; }
    // The answers go back to where they were, and the item comes again.
    store.keep(label.item, label.answers, label.seconds);
    if (current) { order = order.filter((id) => id !== current.id); current = null; }
    await claim();
    for (const question of questions) if (error.problems[question.key]) question.refuse(error.problems[question.key]);
  }

  /* --- Skip, flag, undo, comment ------------------------------------------------------------------------------------ */
  const reasonDialog = document.getElementById("label-reason");
  const REASONS = {
    skip: ["Skip this item?", "Why? Somebody else gets it, and the lead sees the reason.", "Skip"],
    flag: ["Flag this item", "What is wrong with it? The lead sees it at once; you can go on labeling it.", "Flag"],
  };

  function askReason(name) {
    if (!current) return;
    const [title, label, verb] = REASONS[name];
    reasonDialog.querySelector("[data-reason-title]").textContent = title;
    reasonDialog.querySelector("[data-reason-label]").textContent = label;
    reasonDialog.querySelector("[data-reason-verb]").textContent = verb;
    reasonDialog.querySelector("input").value = "";
    reasonDialog.dataset.name = name;
    reasonDialog.showModal();
    reasonDialog.querySelector("input").focus();
  }

  reasonDialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = reasonDialog.querySelector("input").value.trim();
    if (!reason || !current) return;
    const { name } = reasonDialog.dataset;
    const item = current.id;
    try {
      const answer = await post(config.urls[name], { item, reason, have: [...items.keys()].filter((id) => id !== item) });
      reasonDialog.close();
      if (name === "skip") {
        items.delete(item);
        store.forget(item);
        current = null;
        order = [];
        absorb(answer);
      } else {
        say("Flagged. The lead will look at it.");
      }
    } catch (error) {
      showError(error.message);
    }
  });

  async function undo() {
    if (store.outbox.length) { showError("Your last label is still on its way. Try again in a moment."); return; }
    try {
      const answer = await post(config.urls.undo, { have: [...items.keys()] });
      store.forget(answer.undone);
      current = null;
      const first = answer.held.findIndex((lease) => lease.item === answer.undone);
      answer.held.unshift(...answer.held.splice(first, 1));
      absorb(answer);
      say("Taken back. Change it and submit again.");
    } catch (error) {
      showError(error.message);
    }
  }

  const commentDialog = document.getElementById("label-comments");

  async function comments(text = "") {
    if (!current) return;
    try {
      const answer = await post(config.comments.replace("/items/0/", `/items/${current.id}/`), { text });
      const lines = answer.comments.map((line) => {
        const entry = document.createElement("li");
        entry.append(Object.assign(document.createElement("strong"), { textContent: line.author }), ` ${line.text}`);
        return entry;
      });
      commentDialog.querySelector("[data-thread]").replaceChildren(...lines);
      commentDialog.querySelector("textarea").value = "";
      if (!commentDialog.open) commentDialog.showModal();
      commentDialog.querySelector("textarea").focus();
    } catch (error) {
      showError(error.message);
    }
  }

  commentDialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = commentDialog.querySelector("textarea").value.trim();
    if (text) comments(text);
  });

  function say(text) { document.getElementById("announcer").textContent = text; }

  function toggleGuideline() {
    const guideline = document.getElementById("label-guideline");
    guideline.hidden = !guideline.hidden;
    root.querySelector('[data-act="guideline"]').setAttribute("aria-pressed", String(!guideline.hidden));
  }

  /* --- Keys, clicks, time ------------------------------------------------------------------------------------------- */
  const ACTS = { undo, skip: () => askReason("skip"), flag: () => askReason("flag"), comment: () => comments(), guideline: toggleGuideline };
  root.addEventListener("click", (event) => ACTS[event.target.closest("[data-act]")?.dataset.act]?.());
  root.querySelector("[data-form]").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  root.addEventListener("focusin", (event) => { touch(event.target.closest("[data-question]")); markOn(); });

  /* Behind the question that was answered or entered last. */
  function nextQuestion() {
    questions[(touched + 1) % questions.length].focus();
  }

  document.addEventListener("keydown", (event) => {
    active = Date.now();
    if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
    const target = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isChoice = target.matches?.("input[type=radio], input[type=checkbox]");
    // A dialog that was just closed keeps the focus for a moment: keys pressed then are meant for the page.
    const isLeft = target.closest?.("dialog:not([open])");
    if (target.matches?.("input, textarea, select") && !isChoice && !isLeft) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (!handled(event, target, isChoice)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  function handled(event, target, isChoice) {
    if (/^[0-9]$/.test(event.key)) {
      const question = questionOn();
      touch(question.field);
      return question.number(Number(event.key));
    }
    if (event.key === "Enter" && !target.closest?.("button, a, summary")) { submit(); return true; }
    if (event.key === "n") { nextQuestion(); return true; }
    if (event.key === "d") { for (const question of questions) question.takeDraft(); return true; }
    if (event.key === "/") {
      const filter = questionOn()?.filter ?? questions.find((question) => question.filter)?.filter;
      filter?.focus();
      return Boolean(filter);
    }
    if (!isChoice) return false;
    // On a radio button shortcuts.js rests, because it is a field; here its keys go on.
    const button = root.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    button?.click();
    return Boolean(button);
  }

  document.addEventListener("pointerdown", () => { active = Date.now(); });

  let last = Date.now();
  function tick() {
    const now = Date.now();
    if (current && document.visibilityState === "visible" && now - active < IDLE_AFTER) seconds += (now - last) / 1000;
    last = now;
  }
  setInterval(tick, 1000);

  setInterval(async () => {
    if (!current || document.visibilityState !== "visible") return;
    try {
      const { held } = await post(config.urls.heartbeat, {});
      if (current) find("lost").hidden = held.includes(current.id);
      if (root.querySelector(".label-state").dataset.state === "offline") showState("ready");
      store.flush();
    } catch (error) {
      showState(error.status === 401 ? "signed-out" : "offline", store.outbox.length);
    }
  }, config.heartbeat * 1000);

  document.addEventListener("visibilitychange", () => {
    if (current && document.visibilityState === "hidden") store.save(current.id, { keepalive: true });
  });

  store.flush();
  claim();
})();

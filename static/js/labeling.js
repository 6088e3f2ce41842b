/* The labeling page. One item is on the screen and the next one is here already: submitting shows it at once, while the
   label goes to the server behind it. */
(() => {
  "use strict";

  const root = document.getElementById("label");
  if (!root) return;
  const config = JSON.parse(document.getElementById("label-config").textContent);
  const { makeQuestion, labelComments, labelStore, showError } = window.ftportal;
  const { Store, stateOf } = labelStore;
  const post = (url, data) => labelStore.post(url, { me: config.me, ...data });
  const find = (name) => root.querySelector(`[data-${name}]`);
  const columns = find("columns");
  const IDLE_AFTER = 60_000; // without a key or a click, time does not count as work

  const items = new Map(); // by id, as far as they are still to be labeled
  let tokens = new Map(); // id -> token of the lease
  let order = []; // ids, the one on the screen first
  let current = null;
  let guideline = config.guideline; // the version that stands beside the item
  let isFetching = false;
  let askingAgain = 0;
  let nothingLeft = "left"; // why there would be no next item
  let seconds = 0;
  let active = Date.now();

  /* --- State of saving --------------------------------------------------------------------------------------------- */
  const STATES = {
    ready: ["done", "Everything is saved"],
    saved: ["done", "Everything is saved"],
    unsaved: ["working", "Saving"],
    sending: ["working", "Saving"],
    offline: ["attention", "No connection: kept in this browser, sent when it is back"],
    trouble: ["attention", "The server has trouble: kept in this browser, sent again soon"],
    "signed-out": ["failed", "You are signed out: kept in this browser. Sign in again in another tab"],
    "other-person": ["failed", "Somebody else signed in here: kept in this browser until you are back"],
    "no-part": ["failed", "You do not take part any more: kept in this browser. Ask a lead"],
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
    const numbered = questions.filter((question) => question.takesNumbers);
    return questions.find((question) => question.field === focused)
      ?? numbered.find((question) => !question.isAnswered)
      ?? numbered.at(-1) ?? questions.at(-1);
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
    if (answer.guideline !== guideline) newGuideline(answer.guideline);
    nothingLeft = answer.stopped_by || (answer.tally.done >= answer.tally.wanted ? "done" : "left");
    if (!current) showNext();
  }

  /* The guideline was changed while the page was open: what stands beside the item is the newest, and is said to be. */
  async function newGuideline(newest) {
    if (isFetching) return;
    isFetching = true;
    try {
      const page = new DOMParser().parseFromString(await (await fetch(window.location.href)).text(), "text/html");
      const shown = page.getElementById("label-config");
      if (!shown || JSON.parse(shown.textContent).guideline !== newest) return;
      document.getElementById("label-guideline").replaceChildren(...page.getElementById("label-guideline").childNodes);
      guideline = newest;
      find("guideline-changed").hidden = false;
    } catch { /* the next answer brings it up again */ } finally {
      isFetching = false;
    }
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

  function showNext() {
    const id = order[0];
    if (id === undefined || !items.has(id)) return showNothing();
    current = items.get(id);
    const kept = store.restored(current);
    seconds = kept.seconds ?? 0;
    active = Date.now();
    find("position").textContent = current.position;
    find("context").innerHTML = current.context; // made by the server, with every text escaped
    find("answer").textContent = current.answer;
    find("answer-box").hidden = !current.answer || isAnswerAmong(config.questions.map((question) => question.kind));
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

  /* Whether the row's answer stands in a question already, so that it need not be shown twice. */
  function isAnswerAmong(kinds) {
    if (kinds.includes("edit")) return true;
    const isCompared = kinds.some((kind) => ["prefer", "rank"].includes(kind)) && !kinds.includes("verdict");
    return isCompared && current.candidates.some((candidate) => candidate.text === current.answer);
  }

  /* Many labels are found by typing, texts are written: there the cursor waits. Else number keys work at once. */
  function focusFirst() {
    document.activeElement?.blur?.();
    touched = -1;
    const first = questions.find((question) => !question.isAnswered) ?? questions[0];
    if (first.filter || first.spans || (first.area && questions.length === 1)) first.focus();
  }

  const NOTHING = {
    left: ["Nothing is left for you here", "What is still to be labeled is in somebody's hands, or you labeled or skipped it. Should an item come free, it appears here."],
    done: ["Everything is labeled", "All labels of this session are in. Thank you."],
    paused: ["The session is paused", "A lead has paused it. What you submitted is kept; items come here when it goes on."],
    closed: ["The session is closed", "Nothing more is to be labeled. What you submitted is kept."],
    deadline: ["The deadline has passed", "No new items are handed out. What you submitted is kept; ask a lead if you need more time."],
  };

  function showNothing() {
    current = null;
    columns.hidden = true;
    find("empty").hidden = false;
    if (store.outbox.length) return setEmpty("One moment", "Your label is on its way; the next item follows.");
    setEmpty(...NOTHING[nothingLeft]);
    clearTimeout(askingAgain);
    askingAgain = setTimeout(() => { if (!current) claim(); }, 15_000);
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
      showState(stateOf(error), store.outbox.length);
      if (error.status === 403 || error.status === 404) return setEmpty("You do not take part any more", "A lead may have taken you out, or somebody else signed in here. What you submitted is kept.");
      clearTimeout(askingAgain);
      askingAgain = setTimeout(claim, 5000);
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
    const label = { item: current.id, token: tokens.get(current.id) ?? "00000000-0000-0000-0000-000000000000", answers: answers(), seconds, guideline: guideline ?? 0 };
    items.delete(current.id);
    order = order.filter((id) => id !== label.item);
    current = null;
    store.submit(label);
    showNext();
    if (current) requestAnimationFrame(() => performance.measure("label-to-next", "label-submitted"));
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
      if (first > 0) answer.held.unshift(...answer.held.splice(first, 1));
      absorb(answer);
      say("Taken back. Change it and submit again.");
    } catch (error) {
      showError(error.message);
    }
  }

  const comments = labelComments(post, config.comments, () => current);

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
    // Who went away with the page open does not keep the item from the others for ever.
    if (!current || document.visibilityState !== "visible" || Date.now() - active > config.lease * 1000) return;
    try {
      const { held } = await post(config.urls.heartbeat, {});
      if (current) find("lost").hidden = held.includes(current.id);
      if (STATES[root.querySelector(".label-state").dataset.state][0] !== "working") showState(store.outbox.length ? "sending" : "ready");
      store.flush();
    } catch (error) {
      showState(stateOf(error), store.outbox.length);
    }
  }, config.heartbeat * 1000);

  document.addEventListener("visibilitychange", () => {
    if (current && document.visibilityState === "hidden") store.save(current.id, { keepalive: true });
  });

  store.flush();
  claim();
})();

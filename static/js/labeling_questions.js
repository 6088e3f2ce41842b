/* The questions of the labeling page: each gets an item, gives its value, takes a value, answers to number keys. */
(() => {
  "use strict";

  const { words, Spans } = window.ftportal;
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

  class Question {
    constructor(field, data, changed) {
      Object.assign(this, { field, data, changed, key: data.key, required: data.required });
      this.note = field.querySelector("[data-note]");
      this.drafted = field.querySelector("[data-drafted]");
      field.querySelector("[data-take-draft]")?.addEventListener("click", () => this.takeDraft());
      field.addEventListener("input", (event) => { if (!event.target.matches("[data-filter]")) this.touch(); });
    }

    start(item, value) {
      this.item = item;
      this.refuse("");
      const proposed = item.drafted?.[this.key];
      this.drafted.hidden = proposed === undefined;
      if (proposed !== undefined) this.drafted.querySelector("[data-drafted-text]").textContent = this.words(proposed);
      this.prepare(item);
      this.value = value ?? this.initial();
    }

    prepare() {}
    initial() { return null; }
    words(value) { return Array.isArray(value) ? value.map((one) => this.words(one)).join(", ") : typeof value === "object" ? `${value.label} ${value.start}–${value.end}` : String(value); }
    touch() { this.refuse(""); this.changed(); }
    refuse(message) { this.note.textContent = message; this.field.classList.toggle("ask-refused", Boolean(message)); }
    number() { return false; }
    get takesNumbers() { return true; }
    focus() { (this.field.querySelector("input, textarea, [tabindex='0']") ?? this.field).focus(); }
    get isAnswered() { const value = this.value; return value !== null && value !== "" && !(Array.isArray(value) && !value.length); }
    takeDraft() { if (!this.drafted.hidden) { this.value = this.item.drafted[this.key]; this.touch(); } }
    get inputs() { return [...this.field.querySelectorAll("[data-options] input")]; }

    number1to9(number) {
      const input = this.inputs.find((each) => each.dataset.number === String(number) && !each.closest(".ask-option").hidden);
      if (!input) return false;
      input.checked = input.type === "radio" ? true : !input.checked;
      if (input.type === "checkbox") input.focus(); // more labels may follow: the question stays on
      this.touch();
      return true;
    }
  }

  class Choice extends Question {
    constructor(...given) {
      super(...given);
      this.filter = this.field.querySelector("[data-filter]");
      this.none = this.field.querySelector("[data-none]");
      this.filter?.addEventListener("input", () => this.narrow());
      this.filter?.addEventListener("keydown", (event) => this.filterKey(event));
    }

    prepare() {
    if (!this.filter) return;
    this.filter.value = "";
    this.narrow();
    this.field.querySelector("[data-options]").scrollTop = 0;
  }

    /* Labels that start with the letters come first, then those that hold them somewhere. */
    narrow() {
      const wanted = this.filter.value.trim().toLowerCase();
      const holds = (input) => input.value.toLowerCase().includes(wanted);
      const starts = (input) => input.value.toLowerCase().startsWith(wanted);
      const options = this.inputs.map((input) => [input, input.closest(".ask-option")]);
      for (const [input, option] of options) {
        option.hidden = Boolean(wanted) && !holds(input);
        option.style.order = wanted && starts(input) ? -1 : 0;
        option.classList.remove("ask-first");
      }
      const first = this.first();
      if (wanted && first) first.closest(".ask-option").classList.add("ask-first");
      this.none.hidden = !wanted || Boolean(first);
    }

    first() {
      const shown = this.inputs.filter((input) => !input.closest(".ask-option").hidden);
      const wanted = this.filter.value.trim().toLowerCase();
      return shown.find((input) => input.value.toLowerCase().startsWith(wanted)) ?? shown[0];
    }

    /* Enter takes the first label that is left; in the empty field what a model proposes. Once more submits. */
    filterKey(event) {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      const takesDraft = !this.filter.value.trim() && !this.drafted.hidden && !this.isAnswered;
      if (!this.filter.value.trim() && !takesDraft) return;
      event.preventDefault();
      event.stopPropagation();
      if (takesDraft) { this.takeDraft(); return; }
      const input = this.first();
      if (!input) return;
      input.checked = input.type === "radio" ? true : !input.checked;
      this.filter.value = "";
      this.narrow();
      input.closest(".ask-option").scrollIntoView({ block: "nearest" });
      if (input.type === "radio") this.filter.blur();
      this.touch();
    }

    number(number) { return this.number1to9(number); }
    focus() { if (this.filter) this.filter.focus(); else this.inputs[0]?.focus(); }
    set value(value) { const chosen = [value ?? []].flat().map(String); for (const input of this.inputs) input.checked = chosen.includes(input.value); }
    get value() {
      const chosen = this.inputs.filter((input) => input.checked).map((input) => input.value);
      return this.data.kind === "choose_several" ? chosen : chosen[0] ?? null;
    }
  }

  class Rating extends Choice {
    constructor(...given) {
      super(...given);
      const place = this.field.querySelector("[data-options]");
      const [low, high] = [Number(place.dataset.low), Number(place.dataset.high)];
      const steps = this.data.options.step_texts ?? [];
      for (let number = low; number <= high; number += 1) {
        const label = document.createElement("label");
        label.className = "ask-option";
        const input = Object.assign(document.createElement("input"), { type: "radio", name: `ask-${this.key}`, value: number });
        if (number >= 0 && number <= 9) input.dataset.number = number;
        const text = Object.assign(document.createElement("span"), { className: "ask-option-text" });
        text.append(String(number));
        if (steps[number - low]) text.append(Object.assign(document.createElement("small"), { textContent: steps[number - low] }));
        label.append(input, text);
        place.append(label);
      }
      place.classList.toggle("ask-scale-rubric", steps.length > 0);
    }

    get value() { const chosen = this.inputs.find((input) => input.checked); return chosen ? Number(chosen.value) : null; }
    set value(value) { super.value = value; }
  }

  class Text extends Question {
    constructor(...given) {
      super(...given);
      this.area = this.field.querySelector("[data-text]");
      this.difference = this.field.querySelector("[data-difference]");
      this.distance = this.field.querySelector("[data-distance]");
      this.area.addEventListener("input", () => this.compare());
      this.field.querySelector("[data-reset]")?.addEventListener("click", () => { this.value = this.item.answer; this.touch(); this.area.focus(); });
    }

    initial() { return this.data.kind === "edit" ? this.item.answer : ""; }
    get takesNumbers() { return false; }
    get value() { return this.area.value.trim() ? this.area.value : null; }
    set value(value) { this.area.value = value ?? ""; this.compare(); }

    compare() {
      if (!this.difference || !this.item) return;
      const { delete: gone, insert: come } = words.changedWords(this.item.answer, this.area.value);
      const isSame = this.area.value === this.item.answer;
      this.difference.hidden = isSame;
      this.distance.textContent = isSame ? "Unchanged" : `${gone} word${gone === 1 ? "" : "s"} out, ${come} in`;
      if (!isSame) words.draw(this.difference, this.item.answer, this.area.value);
    }
  }

  /* A or B, or a place for each of several. What is stored is the candidate's number in the row, not where it stood. */
  class Candidates extends Question {
    prepare(item) {
      const place = this.field.querySelector("[data-options]");
      const isRank = this.data.kind === "rank";
      place.replaceChildren(...item.candidates.map((candidate, at) => this.card(candidate, at, isRank ? item.candidates.length : 0)));
      if (!isRank && this.data.options.ties) place.append(this.card({ number: "tie", text: "Equally good" }, item.candidates.length, 0));
      if (!item.candidates.length) place.textContent = "This row holds no answers to compare. Skip it.";
    }

    card(candidate, at, places) {
      const card = Object.assign(document.createElement(places ? "div" : "label"), { className: "candidate" });
      const head = Object.assign(document.createElement("span"), { className: "candidate-head" });
      const name = candidate.number === "tie" ? "Tie" : LETTERS[at];
      const text = Object.assign(document.createElement("span"), { className: "chat-text", dir: "auto", textContent: candidate.text });
      if (!places) {
        const input = Object.assign(document.createElement("input"), { type: "radio", name: `ask-${this.key}`, value: candidate.number });
        input.dataset.number = at + 1;
        card.classList.add("ask-option");
        head.append(input, ` ${name} `, Object.assign(document.createElement("kbd"), { textContent: at + 1 }));
        card.append(head, text);
        return card;
      }
      card.tabIndex = 0;
      card.dataset.candidate = candidate.number;
      card.setAttribute("role", "group");
      card.setAttribute("aria-label", `Answer ${name}`);
      head.append(`${name} `);
      for (let rank = 1; rank <= places; rank += 1) {
        const label = Object.assign(document.createElement("label"), { className: "candidate-rank" });
        const input = Object.assign(document.createElement("input"), { type: "radio", name: `ask-${this.key}-${candidate.number}`, value: rank });
        label.append(input, ` ${rank}`);
        head.append(label);
      }
      card.append(head, text);
      return card;
    }

    /* In a ranking the number goes to the card in focus, and the next card comes. */
    number(number) {
      if (this.data.kind === "prefer") return this.number1to9(number);
      const cards = [...this.field.querySelectorAll("[data-candidate]")];
      const open = cards.find((card) => !card.querySelector("input:checked"));
      const card = document.activeElement.closest?.("[data-candidate]") ?? open;
      const input = card?.querySelector(`input[value="${number}"]`);
      if (!input) return false;
      input.checked = true;
      this.touch();
      cards[cards.indexOf(card) + 1]?.focus();
      return true;
    }

    words(value) { return super.words(value === "tie" ? "a tie" : value); }
    focus() { this.field.querySelector("[data-candidate], input")?.focus(); }

    get value() {
      if (this.data.kind === "prefer") return this.inputs.find((input) => input.checked)?.value ?? null;
      const ranks = new Map();
      for (const card of this.field.querySelectorAll("[data-candidate]")) {
        const rank = card.querySelector("input:checked")?.value;
        if (!rank) return null;
        ranks.set(Number(rank), [...(ranks.get(Number(rank)) ?? []), card.dataset.candidate]);
      }
      return ranks.size ? [...ranks.keys()].sort((one, other) => one - other).map((rank) => ranks.get(rank)) : null;
    }

    set value(value) {
      if (this.data.kind === "prefer") { for (const input of this.inputs) input.checked = input.value === value; return; }
      (value ?? []).forEach((group, at) => {
        for (const number of group) {
          const input = this.field.querySelector(`[data-candidate="${CSS.escape(number)}"] input[value="${at + 1}"]`);
          if (input) input.checked = true;
        }
      });
    }
  }

  class SpanQuestion extends Question {
    constructor(...given) {
      super(...given);
      this.spans = new Spans(this.field, () => this.touch());
    }

    prepare() { this.spans.touched = false; }
    number(number) { const button = this.field.querySelector(number === 0 ? "[data-no-span]" : `[data-label][data-number="${number}"]`); button?.click(); return Boolean(button); }
    focus() { this.spans.text.focus(); }
    get value() { return this.spans.value; }
    set value(value) { this.spans.load(this.data.options.about === "answer" ? this.item.answer : this.item.question, value ?? []); }
    get isAnswered() { return !this.required || this.spans.value !== null; }
  }

  const KINDS = {
    choose_one: Choice, choose_several: Choice, verdict: Choice, rate: Rating, text: Text, edit: Text, write: Text,
    prefer: Candidates, rank: Candidates, spans: SpanQuestion,
  };

  const makeQuestion = (field, data, changed) => new KINDS[data.kind](field, data, changed);
  window.ftportal = { ...window.ftportal, makeQuestion };
})();

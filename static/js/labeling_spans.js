/* Marking spans in a text, by mouse or by keyboard alone. Places are code points, as Python counts them. */
(() => {
  "use strict";

  class Spans {
    constructor(field, changed) {
      this.text = field.querySelector("[data-span-text]");
      this.list = field.querySelector("[data-span-list]");
      this.labels = [...field.querySelectorAll("[data-label]")];
      this.changed = changed;
      this.load("", []);
      this.text.addEventListener("keydown", (event) => this.key(event));
      this.text.addEventListener("mouseup", () => this.fromMouse());
      for (const button of this.labels) {
        button.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the selection
        button.addEventListener("click", () => this.mark(button.dataset.label));
      }
      field.querySelector("[data-no-span]").addEventListener("click", () => { this.spans = []; this.touch(); });
      this.list.addEventListener("click", (event) => {
        const button = event.target.closest("[data-remove]");
        if (button) this.remove(Number(button.dataset.remove));
      });
    }

    load(text, spans) {
      this.points = Array.from(text);
      this.spans = [...spans];
      this.words = [];
      for (const found of text.matchAll(/\S+/gu)) {
        const start = Array.from(text.slice(0, found.index)).length;
        this.words.push({ start, end: start + Array.from(found[0]).length });
      }
      this.word = 0;
      this.anchor = 0;
      this.free = null; // a selection by mouse: places, not words
      this.draw();
    }

    get value() { return this.touched || this.spans.length ? this.spans : null; }

    selection() {
      if (this.free) return this.free;
      if (!this.words.length) return null;
      const [first, last] = [Math.min(this.word, this.anchor), Math.max(this.word, this.anchor)];
      return { start: this.words[first].start, end: this.words[last].end };
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.words.length - 1;
      const moves = { ArrowRight: this.word + 1, ArrowLeft: this.word - 1, Home: 0, End: last };
      if (event.key in moves) {
        this.word = Math.max(0, Math.min(last, moves[event.key]));
        if (!event.shiftKey) this.anchor = this.word;
        this.free = null;
        this.draw();
      } else if (event.key === "Backspace" || event.key === "Delete") {
        const here = this.selection();
        const at = this.spans.findIndex((span) => here && span.start < here.end && here.start < span.end);
        if (at >= 0) this.remove(at);
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    }

    fromMouse() {
      const selected = window.getSelection();
      if (!selected.rangeCount || selected.isCollapsed) return;
      const range = selected.getRangeAt(0);
      if (!this.text.contains(range.startContainer) || !this.text.contains(range.endContainer)) return;
      const before = document.createRange();
      before.selectNodeContents(this.text);
      before.setEnd(range.startContainer, range.startOffset);
      const start = Array.from(before.toString()).length;
      const end = start + Array.from(range.toString()).length;
      if (start < end) { this.free = { start, end }; this.draw(); }
    }

    mark(label) {
      const here = this.selection();
      if (!here) return;
      const same = (span) => span.start === here.start && span.end === here.end && span.label === label;
      if (this.spans.some(same)) this.spans = this.spans.filter((span) => !same(span));
      else this.spans.push({ start: here.start, end: here.end, label });
      this.spans.sort((one, other) => one.start - other.start || one.end - other.end);
      this.touch();
    }

    remove(at) { this.spans.splice(at, 1); this.touch(); }

    touch() { this.touched = true; this.free = null; window.getSelection().removeAllRanges(); this.draw(); this.changed(); }

    tone(label) { return `span-tone-${this.labels.findIndex((button) => button.dataset.label === label) % 8}`; }

    /* The text cut where anything begins or ends, so that overlapping spans show, too. */
    draw() {
      const here = this.selection();
      const cuts = new Set([0, this.points.length]);
      for (const span of [...this.spans, ...(here ? [here] : [])]) { cuts.add(span.start); cuts.add(span.end); }
      const places = [...cuts].sort((one, other) => one - other);
      this.text.replaceChildren(...places.slice(0, -1).map((start, index) => {
        const end = places[index + 1];
        const inside = this.spans.filter((span) => span.start <= start && span.end >= end);
        const piece = document.createElement(inside.length ? "mark" : "span");
        piece.textContent = this.points.slice(start, end).join("");
        if (inside.length) { piece.className = this.tone(inside.at(-1).label); piece.title = inside.map((span) => span.label).join(", "); }
        if (here && here.start <= start && here.end >= end) piece.classList.add("span-here");
        return piece;
      }));
      this.list.dataset.none = String(Boolean(this.touched && !this.spans.length));
      this.list.replaceChildren(...this.spans.map((span, at) => {
        const line = document.createElement("li");
        const words = document.createElement("span");
        words.textContent = `${span.label}: ${this.points.slice(span.start, span.end).join("")}`;
        const button = document.createElement("button");
        Object.assign(button, { type: "button", className: "btn btn-sm", textContent: "Remove" });
        button.dataset.remove = at;
        button.setAttribute("aria-label", `Remove ${words.textContent}`);
        line.append(words, button);
        return line;
      }));
    }
  }

  window.ftportal = { ...window.ftportal, Spans };
})();

/* The numbers behind the training curves, without any drawing: reading the metrics endpoint, joining increments and
   refinements, smoothing, and words for figures. docs/design-system.md describes the JSON. */
(() => {
  "use strict";

  const POINT = ["step", "epoch", "tokens", "seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second", "token_accuracy", "reward_accuracy", "reward_margin"];
  const EVALUATION = ["step", "epoch", "tokens", "seconds", "loss", "token_accuracy", "reward_accuracy", "reward_margin"];

  const named = (rows, names) => rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? null])));

  /** Ascending by the key, one row a value: after a resumed run the later row of a step counts. */
  function ordered(rows, key) {
    const byKey = new Map();
    for (const row of rows) if (row[key] !== null) byKey.set(row[key], row);
    return [...byKey.values()].sort((a, b) => a[key] - b[key]);
  }

  /** The mean of the neighbours on both sides, each weighted by exp(-distance / width), width and distance in steps.
      Steps, not points, so that a thinned curve looks like the whole one; both sides, so that the line does not lag. */
  function smooth(rows, width) {
    const values = rows.map((row) => row.loss);
    if (!width) return values;
    const sums = new Float64Array(rows.length);
    const weights = new Float64Array(rows.length);
    const sweep = (order) => {
      let sum = 0;
      let weight = 0;
      let before = null;
      for (const i of order) {
        if (values[i] === null) continue;
        const keep = before === null ? 0 : Math.exp(-Math.abs(rows[i].step - before) / width);
        before = rows[i].step;
        sums[i] += sum * keep;
        weights[i] += weight * keep;
        sum = sum * keep + values[i];
        weight = weight * keep + 1;
      }
    };
    const forward = rows.map((_, i) => i);
    sweep(forward);
    sweep(forward.reverse());
    return values.map((value, i) => (value === null ? null : (value + sums[i]) / (1 + weights[i])));
  }

  class Run {
    constructor({ name, url, csv_url: csvUrl = "" }) {
      Object.assign(this, { name, url, csvUrl });
      this.points = [];
      this.evaluations = [];
      this.detail = null; // finer points of the zoomed part
      this.lastId = null;
      this.facts = {};
      this.error = "";
      this.loaded = false;
    }

    async #fetch(parameters) {
      const url = new URL(this.url, window.location.href);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      return response.json();
    }

    /** Fetches what is new since the last time (all of it at first). True when something changed. */
    async refresh() {
      try {
        const increment = this.lastId !== null;
        const json = await this.#fetch(increment ? { after: this.lastId } : {});
        const points = named(json.points ?? [], POINT);
        const evaluations = named(json.evaluations ?? [], EVALUATION);
        this.points = ordered(increment ? [...this.points, ...points] : points, "step");
        this.evaluations = ordered(increment ? [...this.evaluations, ...evaluations] : evaluations, "step");
        this.lastId = json.last_id ?? this.lastId;
        const before = JSON.stringify(this.facts);
        this.facts = {
          bestStep: json.best_step ?? null,
          overfitting: json.overfitting ?? null,
          finished: Boolean(json.finished),
          totalSteps: json.total_steps ?? this.facts.totalSteps ?? null,
          firstPointStep: json.first_point_step ?? null,
          downsampled: Boolean(json.downsampled ?? this.facts.downsampled),
        };
        const changed = !this.loaded || points.length > 0 || evaluations.length > 0 || before !== JSON.stringify(this.facts);
        this.error = "";
        this.loaded = true;
        return changed;
      } catch (error) {
        const changed = this.error === "";
        this.error = error instanceof TypeError ? "The server could not be reached." : error.message;
        return changed;
      }
    }

    /** Finer points for the steps from..to, when the server thinned the curve. */
    async refine(from, to) {
      if (!this.facts.downsampled) return false;
      try {
        const json = await this.#fetch({ from, to });
        this.detail = { from, to, rows: named(json.points ?? [], POINT) };
        return true;
      } catch {
        return false; // the coarse curve stays; nothing is lost
      }
    }

    rows() {
      if (!this.detail) return this.points;
      const { from, to, rows } = this.detail;
      return ordered([...this.points.filter((row) => row.step < from || row.step > to), ...rows], "step");
    }

    get span() {
      const last = this.points.at(-1)?.step ?? 0;
      return Math.max(last - (this.points[0]?.step ?? 0), 1);
    }

    /** [x, raw loss, smoothed loss] and [x, validation loss] for the main picture. */
    lossTables(axis, share) {
      const rows = ordered(this.rows(), axis);
      const evaluations = ordered(this.evaluations, axis);
      return [
        [rows.map((row) => row[axis]), rows.map((row) => row.loss), smooth(rows, share * this.span)],
        [evaluations.map((row) => row[axis]), evaluations.map((row) => row.loss)],
      ];
    }

    table(axis, metric, source = "points") {
      const rows = ordered(source === "points" ? this.rows() : this.evaluations, axis);
      return [rows.map((row) => row[axis]), rows.map((row) => row[metric])];
    }

    has(metric) {
      return this.points.some((row) => row[metric] !== null);
    }

    /** Where a step lies on an axis: its own row, else between its neighbours. */
    place(step, axis) {
      if (axis === "step" || step === null) return step;
      const rows = ordered([...this.points, ...this.evaluations], "step").filter((row) => row[axis] !== null);
      const after = rows.find((row) => row.step >= step);
      const before = rows.findLast((row) => row.step <= step);
      if (!after || !before) return (after ?? before)?.[axis] ?? null;
      if (after.step === before.step) return after[axis];
      const share = (step - before.step) / (after.step - before.step);
      return before[axis] + share * (after[axis] - before[axis]);
    }

    /** The steps that cover a part of an axis. */
    stepsBetween(axis, min, max) {
      const rows = this.points.filter((row) => row[axis] !== null && row[axis] >= min && row[axis] <= max);
      if (!rows.length) return null;
      return [rows[0].step, rows.at(-1).step];
    }

    /** The row whose place on the axis is nearest. */
    nearest(axis, value) {
      let best = null;
      for (const row of this.points) {
        if (row[axis] === null) continue;
        if (best === null || Math.abs(row[axis] - value) < Math.abs(best[axis] - value)) best = row;
      }
      return best;
    }
  }

  // --- Words for figures ------------------------------------------------------------------------------------------
  const group = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

  function figure(value) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value)) return group(String(value)).replace("-", "\u2212");
    const size = Math.abs(value);
    if (size >= 1000) return group(Math.round(value).toString());
    if (size < 0.001) return value.toExponential(2).replace("e-", "e\u2212");
    return value.toPrecision(size >= 100 ? 4 : size >= 1 ? 4 : 3);
  }

  function span(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    const total = Math.round(seconds);
    if (total < 60) return `${total}\u00a0s`;
    if (total < 3600) return `${Math.floor(total / 60)}\u00a0min` + (total % 60 ? ` ${total % 60}\u00a0s` : "");
    const minutes = Math.floor((total % 3600) / 60);
    return `${Math.floor(total / 3600)}\u00a0h` + (minutes ? ` ${minutes}\u00a0min` : "");
  }

  function short(value) {
    const size = Math.abs(value);
    if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)} G`;
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)} M`;
    if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)} k`;
    return group(String(+value.toPrecision(6)));
  }

  /** Short enough for an axis. */
  function tick(value) {
    const size = Math.abs(value);
    if (size !== 0 && size < 0.001) return value.toExponential(1).replace(".0e", "e").replace("e-", "e\u2212");
    return short(value);
  }

  const percent = (value) => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(1)}\u00a0%`);

  /** What the curve says, for those who do not see it. */
  function summary(run) {
    const losses = run.points.filter((row) => row.loss !== null);
    if (!losses.length) return "";
    const first = losses[0];
    const last = losses.at(-1);
    const smoothed = smooth(losses, 0.03 * run.span).at(-1);
    let text = `Training loss ${figure(first.loss)} at step ${figure(first.step)}, ${figure(smoothed)} (smoothed) at step ${figure(last.step)}`;
    if (run.facts.totalSteps) text += ` of ${figure(run.facts.totalSteps)}`;
    text += ".";
    const known = run.evaluations.filter((row) => row.loss !== null);
    if (known.length) {
      const best = known.reduce((a, b) => (b.loss < a.loss ? b : a));
      text += ` Lowest validation loss ${figure(best.loss)} at step ${figure(best.step)}`;
      text += best === known.at(-1) ? ", the latest." : `; the latest is ${figure(known.at(-1).loss)} at step ${figure(known.at(-1).step)}.`;
    } else {
      text += " No validation loss yet.";
    }
    return text;
  }

  window.ftportal = { ...window.ftportal, lossData: { Run, figure, span, short, tick, percent, summary } };
})();

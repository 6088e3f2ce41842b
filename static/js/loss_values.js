/* The numbers behind a chart of training curves, as tables for those who do not see it. They are made when they are
   opened, and kept up to date while they are open. */
(() => {
  "use strict";

  const { figure, percent, tick } = window.ftportal.lossData;
  const MOST_ROWS = 40;
  const COLUMNS = [
    { title: "Training loss", of: "point", metric: "loss", words: figure },
    { title: "Validation loss", of: "evaluation", metric: "loss", words: figure },
    { title: "Learning rate", of: "point", metric: "learning_rate", words: (value) => (value === null || value === undefined ? "–" : tick(value)) },
    { title: "Gradient norm", of: "point", metric: "grad_norm", words: figure },
    { title: "Tokens/s", of: "point", metric: "tokens_per_second", words: figure },
    { title: "Token accuracy", of: "point", metric: "token_accuracy", words: percent },
    { title: "Token accuracy, validation", of: "evaluation", metric: "token_accuracy", words: percent },
    { title: "Reward accuracy", of: "point", metric: "reward_accuracy", words: percent },
    { title: "Reward accuracy, validation", of: "evaluation", metric: "reward_accuracy", words: percent },
    { title: "Reward margin", of: "point", metric: "reward_margin", words: figure },
    { title: "Reward margin, validation", of: "evaluation", metric: "reward_margin", words: figure },
  ];

  function make(tag, text = "", attributes = {}) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  /** Every validation and, between them, so many points that the table stays short; the first and the last always. */
  function rowsOf(run) {
    const room = Math.max(MOST_ROWS - run.evaluations.length, 10);
    const stride = Math.ceil(run.points.length / room) || 1;
    const last = run.points.length - 1;
    const rows = new Map();
    const at = (step) => rows.get(step) ?? rows.set(step, {}).get(step);
    const validated = new Set(run.evaluations.map((row) => row.step));
    run.points.forEach((point, index) => {
      if (index % stride === 0 || index === last || validated.has(point.step)) at(point.step).point = point;
    });
    for (const evaluation of run.evaluations) at(evaluation.step).evaluation = evaluation;
    return { rows: [...rows].sort(([a], [b]) => a - b), thinned: stride > 1 || Boolean(run.facts.downsampled) };
  }

  function tableOf(run, several) {
    const { rows, thinned } = rowsOf(run);
    if (!rows.length) return make("p", several ? `${run.name}: no points yet.` : "No points yet.");
    const known = COLUMNS.filter(({ of, metric }) => rows.some(([, row]) => (row[of]?.[metric] ?? null) !== null));
    const table = make("table", "", { class: "table" });
    const caption = `${several ? `${run.name}. ` : ""}${thinned ? "Every validation, and some of the steps between them. The CSV has all." : "Every step that was reported."}`;
    table.append(make("caption", caption));
    const head = table.createTHead().insertRow();
    head.append(...["Step", ...known.map(({ title }) => title)].map((title) => make("th", title, { scope: "col", class: "num" })));
    const body = table.createTBody();
    for (const [step, row] of rows) {
      const line = body.insertRow();
      line.append(make("th", figure(step), { scope: "row", class: "num" }));
      for (const { of, metric, words } of known) line.append(make("td", words(row[of]?.[metric]), { class: "num" }));
    }
    const frame = make("div", "", { class: "table-frame", tabindex: "0", role: "region", "aria-label": `Values of ${run.name}` });
    frame.append(table);
    return frame;
  }

  function fill(box, runs) {
    const several = runs.length > 1;
    box.replaceChildren(...runs.map((run) => tableOf(run, several)));
  }

  window.ftportal.lossValues = { fill };
})();

/* Draws training curves with uPlot: one loss picture and small panels below that share its cross-hair and zoom.
   What is shown comes from `view` {axis, logarithmic, smoothing, zoom}; loss_chart.js changes it. */
(() => {
  "use strict";

  const { figure, span, short, tick, percent, summary } = window.ftportal.lossData;
  const { palette, shadeOverfitting, markBest } = window.ftportal.lossMarks;
  const uPlot = window.uPlot;

  const shares = (value) => `${Math.round(value * 100)}\u00a0%`;
  const PANELS = [
    { metric: "learning_rate", title: "Learning rate", show: figure },
    { metric: "grad_norm", title: "Gradient norm", show: figure },
    { metric: "tokens_per_second", title: "Tokens per second", show: figure },
    { metric: "token_accuracy", title: "Token accuracy", show: percent, ticks: shares, evaluated: true },
    { metric: "reward_accuracy", title: "Reward accuracy", show: percent, ticks: shares, evaluated: true },
    { metric: "reward_margin", title: "Reward margin", show: figure, evaluated: true },
  ];
  const AXIS_WORDS = { step: "Step", epoch: "Epoch", tokens: "Tokens", seconds: "Time" };
  const AXIS_TICKS = { step: short, epoch: short, tokens: short, seconds: span };
  // There is no step 1.5 and no half token.
  const WHOLE_AXES = new Set(["step", "tokens"]);
  const WHOLE_NUMBERS = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
  const MAIN_HEIGHT = 352;
  const PANEL_HEIGHT = 136;
  const FONT = "12px system-ui, sans-serif";

  const make = (tag, css, text) => {
    const element = document.createElement(tag);
    if (css) element.className = css;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const faint = (colour) => `color-mix(in oklab, ${colour} 46%, transparent)`;
  const positive = (values) => values.map((value) => (value !== null && value > 0 ? value : null));
  const tickWords = (show) => (plot, values) => values.map((value) => (value === null ? "" : show(value)));

  class LossDrawing {
    constructor(element, runs, view, { syncKey, onZoom }) {
      Object.assign(this, { element, runs, view, syncKey, onZoom, plots: [], readings: [] });
      this.part = (name) => element.querySelector(`[data-loss-${name}]`);
      this.resizes = new ResizeObserver(() => this.#resize());
      this.resizes.observe(this.part("main"));
    }

    get drawable() {
      return this.runs.filter((run) => run.points.length || run.evaluations.length);
    }

    get main() {
      return this.plots[0] ?? null;
    }

    destroy() {
      this.resizes.disconnect();
      this.#clear();
    }

    /** The smallest and largest place on the axis over all runs. */
    extent() {
      let min = Infinity;
      let max = -Infinity;
      for (const run of this.drawable) {
        for (const rows of [run.points, run.evaluations]) {
          for (const row of rows) {
            const value = row[this.view.axis];
            if (value === null) continue;
            if (value < min) min = value;
            if (value > max) max = value;
          }
        }
      }
      return min <= max ? [min, max === min ? min + 1 : max] : [0, 1];
    }

    /** New numbers: the plots stay unless their set of series changed. */
    update() {
      this.#words();
      if (this.#shape() === this.shape && this.plots.length) this.fill();
      else this.build();
    }

    #shape() {
      return this.drawable.map((run) => run.name + PANELS.map((panel) => run.has(panel.metric))).join();
    }

    #clear() {
      for (const plot of this.plots) plot.destroy();
      this.plots = [];
    }

    build() {
      this.#clear();
      this.shape = this.#shape();
      const main = this.part("main");
      const panels = this.part("panels");
      main.replaceChildren();
      panels.replaceChildren();
      this.part("legend").replaceChildren();
      if (!this.drawable.length) return this.#empty(main);
      this.colours = palette(this.element);
      this.#legend();
      this.plots.push(this.#plot(main, this.#lossSeries(), this.#lossData()));
      // All boxes before the first plot: together they decide how wide each one is.
      const shown = PANELS.filter((panel) => this.drawable.some((run) => run.has(panel.metric)));
      const boxes = shown.map((panel) => {
        const box = panels.appendChild(make("div", "loss-panel"));
        const head = box.appendChild(make("div", "loss-panel-title"));
        head.append(make("span", "", panel.title), make("b"));
        return box;
      });
      shown.forEach((panel, index) => {
        const plot = this.#plot(boxes[index], this.#panelSeries(panel), this.#panelData(panel), panel);
        plot.panel = panel;
        plot.reading = boxes[index].querySelector("b");
        this.plots.push(plot);
      });
      this.#read(this.main);
    }

    fill() {
      const [min, max] = this.view.zoom ?? this.extent();
      for (const plot of this.plots) {
        plot.batch(() => {
          plot.setData(plot.panel ? this.#panelData(plot.panel) : this.#lossData(), false);
          plot.setScale("x", { min, max });
        });
      }
      if (this.main) this.#read(this.main);
    }

    #resize() {
      for (const plot of this.plots) {
        const width = this.#width(plot.root.parentElement);
        if (width !== plot.width) plot.setSize({ width, height: plot.panel ? PANEL_HEIGHT : MAIN_HEIGHT });
      }
    }

    #width(parent) {
      return Math.max(parent.clientWidth - 4, 120);
    }

    // --- Series ---------------------------------------------------------------------------------------------------
    #lossData() {
      const tables = this.drawable.flatMap((run) => run.lossTables(this.view.axis, this.view.smoothing));
      if (!this.view.logarithmic) return uPlot.join(tables);
      return uPlot.join(tables.map(([xs, ...columns]) => [xs, ...columns.map(positive)]));
    }

    #panelData(panel) {
      const { axis } = this.view;
      return uPlot.join(
        this.drawable.flatMap((run) =>
          panel.evaluated
            ? [run.table(axis, panel.metric), run.table(axis, panel.metric, "evaluations")]
            : [run.table(axis, panel.metric)],
        ),
      );
    }

    /** One run: two colours, training and validation. Several: one colour a run, validation by its marks. */
    #colour(index, validation = false) {
      const { series } = this.colours;
      return this.drawable.length === 1 ? series[validation ? 1 : 0] : series[index % series.length];
    }

    #line(stroke, width) {
      return { stroke, width, points: { show: false } };
    }

    #marked(stroke) {
      const dash = this.drawable.length > 1 ? [4, 3] : undefined;
      return { stroke, width: 1.5, dash, points: { show: true, size: 8, stroke, fill: this.colours.surface, width: 2 } };
    }

    #lossSeries() {
      const smoothed = this.view.smoothing > 0;
      return this.drawable.flatMap((run, index) => {
        const colour = this.#colour(index);
        return [
          smoothed ? this.#line(faint(colour), 1) : this.#line(colour, 1.75),
          smoothed ? this.#line(colour, 2.25) : { show: false },
          this.#marked(this.#colour(index, true)),
        ];
      });
    }

    #panelSeries(panel) {
      return this.drawable.flatMap((run, index) => [
        this.#line(this.#colour(index), 1.5),
        ...(panel.evaluated ? [this.#marked(this.#colour(index, true))] : []),
      ]);
    }

    // --- Plots ----------------------------------------------------------------------------------------------------
    #axes(panel) {
      const { text, grid } = this.colours;
      const base = { stroke: text, font: FONT, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
      const across = { ...base, size: 30, space: 64, values: tickWords(AXIS_TICKS[this.view.axis]) };
      const up = { ...base, size: 58, space: panel ? 30 : 42, values: tickWords(panel?.ticks ?? tick) };
      if (WHOLE_AXES.has(this.view.axis)) across.incrs = WHOLE_NUMBERS;
      if (!panel) Object.assign(across, { label: AXIS_WORDS[this.view.axis], labelSize: 20, labelFont: FONT, size: 28 });
      return [across, up];
    }

    #cursor(main) {
      const publishes = (type) => type === "mousemove" || type === "mouseleave";
      return {
        y: main,
        drag: { x: true, y: false, setScale: false, dist: 4 },
        points: { size: 7, width: 2, fill: this.colours.surface },
        sync: { key: this.syncKey, scales: ["x", null], setSeries: false, filters: { pub: publishes } },
        bind: {
          dblclick: () => () => {
            this.onZoom(null);
            return null;
          },
        },
      };
    }

    #plot(parent, series, data, panel) {
      const logarithmic = !panel && this.view.logarithmic;
      const options = {
        width: this.#width(parent),
        height: panel ? PANEL_HEIGHT : MAIN_HEIGHT,
        legend: { show: false },
        padding: [10, 14, 0, 0],
        scales: {
          x: { time: false, range: () => this.view.zoom ?? this.extent() },
          y: logarithmic ? { distr: 3, range: (plot, min, max) => uPlot.rangeLog(min ?? 0.1, max ?? 10, 10, false) } : {},
        },
        series: [{}, ...series],
        axes: this.#axes(panel),
        cursor: this.#cursor(!panel),
        hooks: {
          drawClear: panel ? [] : [(plot) => this.#shade(plot)],
          draw: panel ? [] : [(plot) => this.#marks(plot)],
          setCursor: [(plot) => this.#read(plot)],
          setSelect: [(plot) => this.#select(plot)],
        },
      };
      return new uPlot(options, data, parent);
    }

    #select(plot) {
      const { left, width } = plot.select;
      if (width < 4) return;
      const range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      this.onZoom(range);
    }

    #shade(plot) {
      const [run] = this.drawable;
      if (this.drawable.length === 1 && run.facts.overfitting) shadeOverfitting(plot, run, this.view.axis, this.colours);
    }

    #marks(plot) {
      this.drawable.forEach((run, index) => {
        const name = this.drawable.length === 1 ? "Best" : `Best of ${run.name}`;
        markBest(plot, run, this.view, { colour: this.#colour(index, true), name, line: index });
      });
    }

    // --- Words ----------------------------------------------------------------------------------------------------
    #legend() {
      const legend = this.part("legend");
      this.where = legend.appendChild(make("span", "loss-where"));
      this.readings = [];
      const add = (name, css, colour, series) => {
        const key = legend.appendChild(make("span", "loss-key"));
        const mark = key.appendChild(make("span", css));
        mark.style.setProperty("--mark", colour);
        key.append(make("span", "", name));
        this.readings.push({ series, element: key.appendChild(make("b", "", "–")) });
      };
      this.drawable.forEach((run, index) => {
        const several = this.drawable.length > 1 ? `${run.name}: ` : "";
        const first = 1 + index * 3;
        const smoothed = this.view.smoothing > 0;
        add(`${several}training`, `loss-mark${smoothed ? " loss-mark-faint" : ""}`, this.#colour(index), first);
        if (smoothed) add("smoothed", "loss-mark", this.#colour(index), first + 1);
        add("validation", "loss-mark-points", this.#colour(index, true), first + 2);
      });
    }

    /** Every series at the cross-hair; without one, its last value. */
    #read(plot) {
      const main = this.main;
      if (!main || !this.where) return;
      const active = plot?.cursor.left >= 0 && plot?.cursor.idx !== null;
      const value = (source, series) => {
        const column = source.data[series];
        const index = active ? source.cursor.idxs?.[series] : null;
        const known = active && index !== null && index !== undefined ? column[index] : active ? null : column.findLast((entry) => entry != null);
        return known ?? null;
      };
      for (const { series, element } of this.readings) element.textContent = figure(value(main, series));
      for (const other of this.plots) {
        if (!other.panel) continue;
        const every = other.panel.evaluated && this.drawable.length > 1 ? 2 : 1; // of several runs only the training
        const shown = [];
        for (let series = 1; series < other.series.length; series += every) shown.push(value(other, series));
        other.reading.textContent = shown.some((entry) => entry !== null) ? shown.map((entry) => other.panel.show(entry)).join(" · ") : "";
      }
      this.where.textContent = this.#place(active ? plot.posToVal(plot.cursor.left, "x") : null);
    }

    /** The same in one line, to be said aloud. */
    reading() {
      return [...this.part("legend").children].map((entry) => [...entry.childNodes].map((node) => node.textContent).filter(Boolean).join(" ")).filter(Boolean).join(", ");
    }

    #place(value) {
      const [run] = this.drawable;
      const row = value === null ? run.points.at(-1) : run.nearest(this.view.axis, value);
      if (!row) return "";
      const words = [`Step ${figure(row.step)}`];
      if (row.epoch !== null) words.push(`epoch ${row.epoch.toFixed(2)}`);
      if (row.tokens !== null) words.push(`${short(row.tokens)} tokens`);
      if (row.seconds !== null) words.push(span(row.seconds));
      return words.join(" · ");
    }

    #empty(main) {
      const box = main.appendChild(make("div", "loss-empty"));
      const run = this.runs[0];
      const failed = this.runs.every((other) => other.error);
      if (failed) box.append(make("strong", "", "The curves could not be loaded."), make("span", "", `${run.error} Trying again every few seconds.`));
      else if (!this.runs.some((other) => other.loaded)) box.append(make("span", "", "Loading the curves…"));
      else if (this.runs.every((other) => other.facts.finished)) box.append(make("strong", "", "No points"), make("span", "", "No loss was reported in this run."));
      else {
        const first = run.facts.firstPointStep;
        box.append(make("strong", "", "No points yet"), make("span", "", first === null ? "The first point comes with the first loss that is reported; some providers report only at the end." : `The first point comes after step ${figure(first)}.`));
      }
    }

    #notice(title, text) {
      const template = this.element.querySelector("template[data-loss-notice]");
      const notice = template.content.firstElementChild.cloneNode(true);
      notice.querySelector(".notice-title").textContent = title;
      notice.querySelector(".notice-body").append(make("p", "", text));
      return notice;
    }

    #words() {
      const notices = [];
      const several = this.runs.length > 1;
      for (const run of this.runs) {
        const name = several ? `${run.name}: ` : "";
        const { overfitting } = run.facts;
        if (overfitting) notices.push(this.#notice(`${name}Overfitting from step ${figure(overfitting.from_step)}`, overfitting.advice ?? ""));
        if (run.error && run.loaded) notices.push(this.#notice(`${name}Newer points could not be loaded`, `${run.error} What is drawn is what was known before; trying again every few seconds.`));
      }
      this.part("notices").replaceChildren(...notices);
      const texts = this.runs.map((run) => [run.name, summary(run)]).filter(([, text]) => text);
      this.part("summary").replaceChildren(...texts.map(([name, text]) => make("p", "", several ? `${name}: ${text}` : text)));
    }
  }

  window.ftportal = { ...window.ftportal, LossDrawing };
})();

/* The training curves of one page: loads the numbers, keeps them fresh, and turns controls, keys and dragging into a
   new view. The element is rendered by {% loss_chart %}; components/loss_chart_scripts.html loads what it needs. */
(() => {
  "use strict";

  const { lossData, lossValues, LossDrawing } = window.ftportal;
  const REFRESH_EVERY_MS = 1000;
  const RETRY_MS = 5000;

  class LossChart {
    constructor(element, number) {
      this.element = element;
      this.part = (name) => element.querySelector(`[data-loss-${name}]`);
      this.runs = JSON.parse(element.dataset.runs).map((run) => new lossData.Run(run));
      this.view = { axis: "step", logarithmic: false, smoothing: Number(this.part("smoothing").value), zoom: null };
      const onZoom = (range) => this.setZoom(range);
      this.drawing = new LossDrawing(element, this.runs, this.view, { syncKey: `loss-${number}`, onZoom });
      this.ends = new AbortController();
      this.#listen();
      this.drawing.update();
      this.refresh();
      this.#connect();
    }

    // --- Data -----------------------------------------------------------------------------------------------------
    async refresh() {
      if (this.busy) {
        this.again = true;
        return;
      }
      this.busy = true;
      const changed = await Promise.all(this.runs.map((run) => (run.facts.finished ? false : run.refresh())));
      this.busy = false;
      if (!this.element.isConnected) return this.close();
      if (changed.some(Boolean)) this.drawing.update();
      if (changed.some(Boolean)) this.#values();
      if (this.runs.every((run) => run.facts.finished)) this.#finish();
      else if (this.runs.some((run) => run.error)) this.#later(RETRY_MS);
      else if (this.again) this.#later(REFRESH_EVERY_MS);
      this.again = false;
    }

    #values() {
      if (this.part("values").open) lossValues.fill(this.part("table"), this.runs);
    }

    #later(delay) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), delay);
    }

    close() {
      this.ends.abort();
      this.#disconnect();
      clearTimeout(this.timer);
      this.drawing.destroy();
    }

    // --- Live -----------------------------------------------------------------------------------------------------
    #tell(state) {
      this.element.dispatchEvent(new CustomEvent("live:state", { bubbles: true, detail: { state } }));
    }

    /** The stream only says that something is new; what it is comes from the endpoint, after the last point we have.
        So nothing is missed while the stream was cut. */
    #connect() {
      const url = this.element.dataset.streamUrl;
      if (!url || this.stream || this.finished || this.ends.signal.aborted || document.hidden) return;
      this.stream = new EventSource(url);
      this.stream.addEventListener("open", () => {
        this.#tell("on");
        this.refresh();
      });
      this.stream.addEventListener("metrics", () => this.#hint());
      this.stream.addEventListener("error", () => {
        this.#tell("cut");
        if (this.stream?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
        this.#disconnect();
        setTimeout(() => this.#connect(), RETRY_MS);
      });
    }

    /** At most one refresh a second, and never none after the last hint. */
    #hint() {
      if (this.hinted) return;
      this.hinted = true;
      const wait = Math.max(0, REFRESH_EVERY_MS - (performance.now() - (this.refreshedAt ?? -Infinity)));
      setTimeout(() => {
        this.hinted = false;
        this.refreshedAt = performance.now();
        this.refresh();
      }, wait);
    }

    #disconnect() {
      this.stream?.close();
      this.stream = null;
    }

    #finish() {
      this.finished = true;
      this.#disconnect();
      this.#tell("finished");
    }

    // --- Controls -------------------------------------------------------------------------------------------------
    #choice(name, apply) {
      const group = this.part(name);
      group.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (!button) return;
        for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
        apply(button.value);
        this.drawing.build();
      });
    }

    #listen() {
      const { signal } = this.ends;
      this.#choice("axis", (value) => {
        this.view.axis = value;
        this.setZoom(null);
      });
      this.#choice("scale", (value) => (this.view.logarithmic = value === "log"));
      this.part("smoothing").addEventListener("change", (event) => {
        this.view.smoothing = Number(event.target.value);
        this.drawing.build();
      });
      this.part("reset").addEventListener("click", () => this.setZoom(null));
      this.part("values").addEventListener("toggle", () => this.#values());
      this.part("main").addEventListener("keydown", (event) => this.#key(event));
      document.addEventListener("metrics", () => this.#hint(), { signal }); // a stream that htmx keeps open
      document.addEventListener("htmx:sse:after:connection", () => this.#hint(), { signal }); // what was missed
      document.addEventListener("themechange", () => this.drawing.build(), { signal });
      document.addEventListener("visibilitychange", () => this.#visibility(), { signal });
    }

    #visibility() {
      if (!this.element.isConnected) return this.close();
      if (document.hidden) return this.#disconnect();
      if (this.finished) return undefined;
      this.#connect();
      return this.refresh();
    }

    #key(event) {
      const plot = this.drawing.main;
      if (!plot) return;
      const xs = plot.data[0];
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const forward = event.key === "ArrowRight";
        const stride = event.shiftKey ? Math.max(1, Math.round(xs.length / 20)) : 1;
        const from = plot.cursor.left >= 0 && plot.cursor.idx !== null ? plot.cursor.idx : forward ? -1 : xs.length;
        const index = Math.min(xs.length - 1, Math.max(0, from + (forward ? stride : -stride)));
        plot.setCursor({ left: plot.valToPos(xs[index], "x"), top: plot.over.clientHeight / 2 }, true, true);
        this.part("reading").textContent = this.drawing.reading();
      } else if (event.key === "+" || event.key === "-") {
        const { min, max } = plot.scales.x;
        const centre = plot.cursor.idx === null ? (min + max) / 2 : xs[plot.cursor.idx];
        const half = ((max - min) / 2) * (event.key === "+" ? 0.5 : 2);
        this.setZoom([centre - half, centre + half]);
      } else if (event.key === "Escape" && this.view.zoom) {
        this.setZoom(null);
      } else {
        return;
      }
      event.preventDefault();
    }

    // --- Zoom -----------------------------------------------------------------------------------------------------
    /** Shows a part of the axis at once, and again with finer points when the server has them; null shows all. */
    async setZoom(range) {
      const [low, high] = this.drawing.extent();
      const inside = range ? [Math.max(range[0], low), Math.min(range[1], high)] : [low, high];
      const whole = inside[0] >= inside[1] || (inside[0] <= low && inside[1] >= high);
      this.view.zoom = whole ? null : inside;
      this.part("reset").hidden = whole;
      for (const run of this.runs) run.detail = null;
      this.drawing.fill();
      if (whole) return;
      const refined = await Promise.all(
        this.runs.map((run) => {
          const steps = run.stepsBetween(this.view.axis, ...inside);
          return steps ? run.refine(...steps) : false;
        }),
      );
      if (this.view.zoom === inside && refined.some(Boolean)) this.drawing.fill();
    }
  }

  const charts = new WeakMap();
  let number = 0;
  function start() {
    for (const element of document.querySelectorAll("[data-loss-chart]")) {
      if (!charts.has(element)) charts.set(element, new LossChart(element, (number += 1)));
    }
  }
  document.addEventListener("htmx:after:swap", start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

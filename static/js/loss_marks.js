/* What is painted over the training curves: the region of overfitting and the best checkpoint; and in which colours. */
(() => {
  "use strict";

  const { figure } = window.ftportal.lossData;
  const font = (ratio) => `600 ${12 * ratio}px system-ui, sans-serif`;

  /** Colours live in CSS, as light-dark() pairs; only the browser can tell what they are now. */
  function palette(element) {
    const probe = element.appendChild(document.createElement("span"));
    const read = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    const colours = {
      series: [1, 2, 3, 4, 5, 6].map((n) => read(`--chart-${n}`)),
      grid: read("--chart-grid"),
      text: read("--chart-text"),
      shade: read("--chart-shade"),
      attention: read("--tone-attention"),
      surface: read("--surface"),
    };
    probe.remove();
    return colours;
  }

  /** Shades from the step where the run began to learn its training rows by heart, and says so. */
  function shadeOverfitting(plot, run, axis, colours) {
    const step = run.facts.overfitting.from_step;
    const place = run.place(step, axis);
    if (place === null) return;
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio;
    const right = bbox.left + bbox.width;
    const left = Math.min(Math.max(plot.valToPos(place, "x", true), bbox.left), right);
    const width = right - left;
    if (width <= 0) return;
    const words = `Overfitting from step ${figure(step)}`;
    ctx.save();
    ctx.fillStyle = colours.shade;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.font = font(ratio);
    ctx.fillStyle = colours.attention;
    ctx.textBaseline = "top";
    const fits = width > ctx.measureText(words).width + 16 * ratio;
    ctx.textAlign = fits ? "left" : "right";
    ctx.fillText(words, fits ? left + 8 * ratio : right - 8 * ratio, bbox.top + 6 * ratio);
    ctx.restore();
  }

  /** The best checkpoint: a dashed line, its validation loss as a full dot, its step in words on its own `line`. */
  function markBest(plot, run, view, { colour, name, line }) {
    const step = run.facts.bestStep;
    const place = step === null ? null : run.place(step, view.axis);
    if (place === null) return;
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio;
    const bottom = bbox.top + bbox.height;
    const x = plot.valToPos(place, "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = 1.25 * ratio;
    ctx.setLineDash([3 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    const loss = run.evaluations.find((row) => row.step === step)?.loss ?? null;
    if (loss !== null && (!view.logarithmic || loss > 0)) {
      ctx.beginPath();
      ctx.arc(x, plot.valToPos(loss, "y", true), 5 * ratio, 0, 2 * Math.PI);
      ctx.fill();
    }
    const words = `${name}: step ${figure(step)}`;
    ctx.font = font(ratio);
    ctx.textBaseline = "top";
    const fits = x + ctx.measureText(words).width + 12 * ratio < bbox.left + bbox.width;
    ctx.textAlign = fits ? "left" : "right";
    ctx.fillText(words, x + (fits ? 7 : -7) * ratio, bbox.top + (6 + 16 * (line + 1)) * ratio);
    ctx.restore();
  }

  window.ftportal = { ...window.ftportal, lossMarks: { palette, shadeOverfitting, markBest } };
})();

/* Counts the seconds that the page was looked at; every form with a field `seconds` sends them along. */
(() => {
  "use strict";

  let seconds = 0;
  let since = document.hidden ? null : performance.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && since !== null) seconds += (performance.now() - since) / 1000;
    since = document.hidden ? null : performance.now();
  });
  document.addEventListener(
    "submit",
    (event) => {
      const field = event.target.elements.namedItem("seconds");
      if (field) field.value = (seconds + (since === null ? 0 : (performance.now() - since) / 1000)).toFixed(1);
    },
    true,
  );
})();

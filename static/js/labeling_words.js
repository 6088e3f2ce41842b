/* The word-level difference of two texts, live while somebody types. The same words as core/word_difference.py. */
(() => {
  "use strict";

  const TOKENS = /[\p{L}\p{N}_]+(?:['’-][\p{L}\p{N}_]+)*|\n|[^\S\n]+|[^\p{L}\p{N}_\s]/gu;
  const MOST_PAIRS = 4_000_000; // beyond this, what lies between the equal ends counts as one change

  const tokens = (text) => text.match(TOKENS) ?? [];

  /* Lengths of the longest common subsequence of every pair of tails. */
  function table(first, second) {
    const width = second.length + 1;
    const lengths = new Uint32Array((first.length + 1) * width);
    for (let i = first.length - 1; i >= 0; i -= 1) {
      for (let j = second.length - 1; j >= 0; j -= 1) {
        lengths[i * width + j] = first[i] === second[j]
          ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
      }
    }
    return (i, j) => lengths[i * width + j];
  }

  function middle(first, second) {
    if (!first.length || !second.length || first.length * second.length > MOST_PAIRS) {
      return [...first.map((text) => ["delete", text]), ...second.map((text) => ["insert", text])];
    }
    const at = table(first, second);
    const found = [];
    let i = 0;
    let j = 0;
    while (i < first.length && j < second.length) {
      if (first[i] === second[j]) { found.push(["equal", first[i]]); i += 1; j += 1; }
      else if (at(i + 1, j) >= at(i, j + 1)) { found.push(["delete", first[i]]); i += 1; }
      else { found.push(["insert", second[j]]); j += 1; }
    }
    for (; i < first.length; i += 1) found.push(["delete", first[i]]);
    for (; j < second.length; j += 1) found.push(["insert", second[j]]);
    return found;
  }

  /* [[op, text], …]: in each change the deletions come first. */
  function difference(before, after) {
    const first = tokens(before);
    const second = tokens(after);
    let start = 0;
    while (start < first.length && start < second.length && first[start] === second[start]) start += 1;
    let end = 0;
    while (end < first.length - start && end < second.length - start && first.at(-1 - end) === second.at(-1 - end)) end += 1;
    const pieces = [
      ...first.slice(0, start).map((text) => ["equal", text]),
      ...middle(first.slice(start, first.length - end), second.slice(start, second.length - end)),
      ...first.slice(first.length - end).map((text) => ["equal", text]),
    ];
    const joined = [];
    let change = { delete: "", insert: "" };
    const close = () => {
      for (const op of ["delete", "insert"]) if (change[op]) joined.push([op, change[op]]);
      change = { delete: "", insert: "" };
    };
    for (const [op, text] of pieces) {
      if (op !== "equal") { change[op] += text; continue; }
      close();
      if (joined.at(-1)?.[0] === "equal") joined.at(-1)[1] += text;
      else joined.push(["equal", text]);
    }
    close();
    return joined;
  }

  /* Into an element, as text only. */
  function draw(element, before, after) {
    const names = { equal: "span", delete: "del", insert: "ins" };
    element.replaceChildren(...difference(before, after).map(([op, text]) => {
      const node = document.createElement(names[op]);
      node.textContent = text;
      return node;
    }));
  }

  function changedWords(before, after) {
    const count = (text) => (text.match(/[\p{L}\p{N}_]+/gu) ?? []).length;
    const found = { delete: 0, insert: 0 };
    for (const [op, text] of difference(before, after)) if (op !== "equal") found[op] += count(text);
    return found;
  }

  window.ftportal = { ...window.ftportal, words: { draw, changedWords } };
})();

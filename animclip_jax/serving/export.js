// The menu of files that hold the results: plain links to the API.

import { asked, written } from "/asked.js";

const menu = document.getElementById("export");
const summary = menu.querySelector("summary");

let shown = {}; // what the links ask besides the query

// Offers the results that are shown. count: how many; isCoarse: as ranked before re-ranking.
export function offerExport(count, isCoarse) {
  menu.hidden = !count;
  menu.open = false;
  // Before re-ranking, the page shows what was found by sight.
  shown = { n: count, ...(isCoarse && { coarse_only: "true", by: "seen" }) };
  point();
}

function point() {
  for (const link of menu.querySelectorAll("a")) {
    const sent = new URLSearchParams([["format", link.dataset.format], ...asked()]);
    for (const [name, value] of Object.entries(shown)) sent.set(name, value);
    link.href = `/api/export?${written(sent)}`;
  }
}

menu.addEventListener("toggle", point);
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  event.stopPropagation();
  menu.open = false;
  summary.focus();
});
// A menu closes when one turns to something else.
document.addEventListener("pointerdown", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});
menu.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
});
menu.querySelector("ul").addEventListener("click", () => {
  menu.open = false;
});

// The keyboard on the page, outside the detail view: everything is reached by it.

import { likeOne } from "/asked.js";
import { isOpen, open } from "/detail.js";
import { isPlaying, stop } from "/player.js";

const query = document.getElementById("query");
const results = document.getElementById("results");
// Tops of a row differ by less, in pixels.
const SAME_ROW = 2;

// more: further keys, and what each does; search: what searches for other parameters.
export function listenToKeys(more, search) {
  const letters = {
    ...more,
    o: () => focused() && open(focused()),
    l: () => focused() && search(likeOne(focused())),
  };
  document.addEventListener("keydown", (event) => onKey(event, letters));
}

// The id of the result that has the focus.
function focused() {
  return document.activeElement.closest("#results [data-id]")?.dataset.id;
}

function onKey(event, letters) {
  if (isOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target === query;
  if (event.key === "Escape") {
    escape(isTyping);
  } else if (event.target.closest("#filters, #export, select")) {
    // These have keys of their own.
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (Object.hasOwn(letters, event.key) && !isTyping) {
    letters[event.key]();
  } else if (event.key.startsWith("Arrow") && (!isTyping || event.key === "ArrowDown")) {
    if (!event.target.closest("fieldset") && move(event.key)) event.preventDefault();
  }
}

function escape(isTyping) {
  if (isPlaying()) stop();
  else if (isTyping) query.blur();
  else query.focus();
}

// Goes from result to result; whether there was anywhere to go.
function move(key) {
  const cards = [...results.querySelectorAll(".card, .pick")];
  if (!cards.length) return false;
  const at = cards.indexOf(document.activeElement);
  if (at < 0) {
    if (key !== "ArrowDown") return false;
    cards[0].focus();
    return true;
  }
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step) cards[at + step]?.focus();
  else if (key === "ArrowUp") (inNextRow(cards, at, -1) ?? query).focus();
  else (inNextRow(cards, at, 1) ?? cards.at(-1)).focus();
  return true;
}

// The card above (-1) or below (1) that is the nearest one.
function inNextRow(cards, at, way) {
  const boxes = cards.map((one) => one.getBoundingClientRect());
  const { left, top } = boxes[at];
  const beyond = boxes.map((box) => way * (box.top - top)).map((far) => (far > SAME_ROW ? far : Infinity));
  const nearest = Math.min(...beyond);
  let best = null;
  for (const [place, far] of beyond.entries()) {
    const isHere = far < Infinity && far <= nearest + SAME_ROW;
    if (isHere && (best === null || Math.abs(boxes[place].left - left) < Math.abs(boxes[best].left - left))) {
      best = place;
    }
  }
  return cards[best] ?? null;
}

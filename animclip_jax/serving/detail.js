// One result at large: its video with sound and controls, and all its moments on a timeline.

import {
  address, asked, clock, likeOne, written,
} from "/asked.js";
import { copyPlace, learnPlace, openFolder } from "/file.js";
import { play, stop } from "/player.js";
import { sceneOf } from "/scenes.js";

const dialog = document.getElementById("detail");
const screen = dialog.querySelector(".screen");
const slider = document.getElementById("slider");
const bars = dialog.querySelector(".bars");
const scene = dialog.querySelector(".scene");
const best = dialog.querySelector(".best");
const told = dialog.querySelector(".told");
const results = document.getElementById("results");
// Moments that are offered beside the timeline.
const BEST = 5;

let video = null; // the API's timeline of what is shown
let piece = null; // the segment of it that was picked
let origin = null; // the id of the result that it was opened at
let loading = null; // aborts the request for another timeline

export function isOpen() {
  return dialog.open;
}

// The moment that the address names, or null.
function named() {
  return new URLSearchParams(location.search).get("moment");
}

function place(id) {
  const parameters = asked();
  parameters.set("moment", id);
  return address(parameters);
}

// Opens a moment, with an entry of the history that closing takes back.
export function open(id) {
  history.pushState({ isDetail: true }, "", place(id));
  follow();
}

// Shows what the address names, or nothing.
export function follow() {
  const id = named();
  if (!id) hide();
  else if (id !== piece?.id) load(id);
}

function hide() {
  loading?.abort();
  if (!piece) return;
  const card = cardOf(piece.id) ?? cardOf(origin);
  stop();
  // The browser closes it itself where Escape is pressed again without anything else between.
  if (dialog.open) dialog.close();
  video = piece = origin = null;
  card?.focus();
}

function close() {
  if (history.state?.isDetail) {
    history.back();
    return;
  }
  history.replaceState(null, "", address(asked()));
  hide();
}

function cardOf(id) {
  return id ? results.querySelector(`li[data-id="${CSS.escape(id)}"] button`) : null;
}

async function load(id) {
  loading?.abort();
  const mine = loading = new AbortController();
  stop();
  video = null;
  piece = { id };
  origin = id;
  if (!dialog.open) dialog.showModal();
  told.textContent = "Loading ...";
  bars.replaceChildren();
  best.replaceChildren();
  scene.hidden = true;
  showNeighbours();
  learnPlace(id, mine.signal);
  const parameters = asked();
  // Without a query it is the moment itself that others are compared with.
  const sent = ["q", "like", "without", "unlike"].some((name) => parameters.has(name))
    ? parameters : likeOne(id);
  try {
    const answer = await fetch(`/api/timeline/${encodeURIComponent(id)}?${written(sent)}`, { signal: mine.signal });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    video = found;
    show();
    pick(video.segments.find((one) => one.id === id), false);
  } catch (error) {
    if (error.name !== "AbortError") told.textContent = error.message;
  }
}

function show() {
  dialog.querySelector("h2").textContent = video.video;
  const pieces = video.segments;
  const [first, last] = [pieces[0].start, pieces.at(-1).end];
  const scores = pieces.map((one) => one.coarse);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  dialog.querySelector(".timeline").hidden = video.photo;
  Object.assign(slider, { min: first, max: last });
  bars.replaceChildren(...pieces.map((one) => {
    const bar = document.createElement("span");
    const share = high > low ? (one.coarse - low) / (high - low) : 1;
    span(bar, one);
    bar.style.height = `${15 + 85 * share}%`;
    return bar;
  }));
  const some = [...pieces].sort((a, b) => b.coarse - a.coarse).slice(0, BEST);
  best.hidden = pieces.length < 2;
  best.replaceChildren(...some.map(offer));
  markScene();
}

// Puts an element where a part of the video is on the timeline.
function span(element, { start, end }) {
  const [first, last] = [video.segments[0].start, video.segments.at(-1).end];
  const length = Math.max(last - first, 1e-3);
  element.style.left = `${100 * (start - first) / length}%`;
  element.style.width = `${100 * (end - start) / length}%`;
}

// Marks the scene that a result stands for, and what was found of it.
function markScene() {
  if (!video) return;
  const found = sceneOf(origin);
  scene.hidden = !found;
  if (found) span(scene, found);
  const ids = new Set(found?.segments.map((one) => one.id));
  video.segments.forEach((one, at) => bars.children[at].classList.toggle("found", ids.has(one.id)));
}

function offer(one) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = one.id;
  const picture = new Image(160, 90);
  picture.alt = "";
  picture.src = `/thumbnail/${one.id}`;
  const time = document.createElement("span");
  time.textContent = `${clock(one.start)} – ${clock(one.end)}`;
  button.append(picture, time);
  button.addEventListener("click", () => pick(one));
  item.append(button);
  return item;
}

// Plays a segment of the video; seconds: from where, else from its beginning.
function pick(one, isNew = true, seconds = one.start) {
  const isOther = one.id !== piece?.id;
  piece = one;
  if (isNew && isOther) history.replaceState(history.state, "", place(one.id));
  const player = screen.querySelector("video");
  if (player?.src.includes("/video/")) {
    player.currentTime = seconds;
    player.play().catch(() => {}); // It was stopped meanwhile.
  } else if (player && !isOther) {
    player.currentTime = seconds; // Of a preview, which has this segment alone.
  } else {
    play(dialog, { ...video, ...one }, true, seconds);
  }
  slide(seconds);
  tell();
  showNeighbours();
}

function tell() {
  const length = video.segments.at(-1).end - video.segments[0].start;
  told.textContent = video.photo ? "photo"
    : `${clock(piece.start)} – ${clock(piece.end)} of ${clock(length)}  ·  similarity ${piece.coarse.toFixed(3)}${ofScene()}`;
  for (const button of best.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.id === piece.id));
  }
  const at = video.segments.indexOf(piece);
  [...bars.children].forEach((bar, number) => bar.classList.toggle("now", number === at));
}

function ofScene() {
  const found = sceneOf(origin);
  if (!found) return "";
  return `  ·  scene ${clock(found.start)} – ${clock(found.end)}, ${found.segments.length} moments found`;
}

function slide(seconds) {
  slider.value = seconds;
  slider.setAttribute("aria-valuetext", `${clock(seconds)}, similarity ${piece.coarse.toFixed(3)}`);
}

function at(seconds) {
  return video.segments.findLast((one) => one.start <= seconds) ?? video.segments[0];
}

// The results before and behind the one that was opened, as they are shown.
function neighbours() {
  const ids = [...results.querySelectorAll("li[data-id]")].map((item) => item.dataset.id);
  const now = ids.indexOf(ids.includes(piece?.id) ? piece.id : origin);
  return now < 0 ? [null, null] : [ids[now - 1] ?? null, ids[now + 1] ?? null];
}

function showNeighbours() {
  const [before, behind] = neighbours();
  dialog.querySelector(".previous").disabled = !before;
  dialog.querySelector(".next").disabled = !behind;
  // A button that is disabled loses the focus.
  const now = document.activeElement;
  if (now.disabled || !dialog.contains(now)) dialog.querySelector(".close").focus();
}

function copy() {
  if (video) copyPlace({ ...video, ...piece });
}

function go(id) {
  if (!id) return;
  history.replaceState(history.state, "", place(id));
  load(id);
}

slider.addEventListener("input", () => {
  if (video) pick(at(slider.valueAsNumber), true, slider.valueAsNumber);
});
slider.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (!step || !video) return;
  event.preventDefault();
  const next = video.segments[video.segments.indexOf(piece) + step];
  if (next) pick(next);
});
screen.addEventListener("timeupdate", (event) => {
  if (!video || event.target.seeking) return;
  const now = at(event.target.currentTime);
  if (event.target.src.includes("/video/") && now !== piece) {
    piece = now;
    tell();
  }
  slide(event.target.currentTime);
}, true);
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  close();
});
dialog.querySelector(".close").addEventListener("click", close);
dialog.querySelector(".previous").addEventListener("click", () => go(neighbours()[0]));
dialog.querySelector(".next").addEventListener("click", () => go(neighbours()[1]));
dialog.querySelector(".copy").addEventListener("click", copy);
dialog.querySelector(".folder").addEventListener("click", () => openFolder(piece));
document.addEventListener("results", () => {
  if (!video) return;
  markScene();
  tell();
  showNeighbours();
});
// Also where the focus is nowhere, as after a click beside the buttons.
document.addEventListener("keydown", (event) => {
  if (!dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "c") copy();
  if (event.key === "f") openFolder(piece);
  if (event.key === "p") go(neighbours()[0]);
  if (event.key === "n") go(neighbours()[1]);
});

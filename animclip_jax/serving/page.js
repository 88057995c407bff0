// The page of `animclip serve`: asks the API, shows both rankings, plays a segment from its moment.

import {
  address, asked, clock, likeOne, saying, seeks, showChips, showFilters, written,
} from "/asked.js";
import { isPlaying, play, plays, stop } from "/player.js";

const form = document.getElementById("search");
const query = document.getElementById("query");
const picture = document.getElementById("picture");
const status = document.getElementById("status");
const note = document.getElementById("note");
const ranking = document.getElementById("ranking");
const filters = document.getElementById("filters");
const results = document.getElementById("results");
const template = document.getElementById("card");
// A pointer that only passes starts nothing.
const HOVER_MILLISECONDS = 150;
// Letters of a name that are always shown.
const TAIL = 12;

let answer = null; // the API's last one, while it is shown
let indexed = ""; // what the index holds
let asking = null; // aborts the request that is under way

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// The API's answer, shown; null where there is none.
async function ask(parameters, options, sought) {
  asking?.abort();
  asking = new AbortController();
  say(`Searching ${sought} ...`);
  const began = performance.now();
  try {
    const url = `/api/search?${written(parameters)}`;
    const response = await fetch(url, { ...options, signal: asking.signal });
    const found = await response.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return null; // A proxy's page.
    });
    if (!response.ok || !found) {
      fail(found?.error ?? `The server answered ${response.status}.`);
      return null;
    }
    answer = found;
    show();
    say(told(found, performance.now() - began));
    return found;
  } catch (error) {
    if (error.name !== "AbortError") fail("The server does not answer.");
    return null;
  }
}

// Nothing is shown that the words above it are not about.
function clear() {
  stop();
  answer = null;
  ranking.disabled = true;
  results.replaceChildren();
}

function fail(text) {
  clear();
  say(text, true);
}

function told(found, roundTrip) {
  const names = { encode: "encoding", coarse: "coarse search", rerank: "re-ranking", words: "words" };
  const parts = Object.entries(found.milliseconds).map(
    ([stage, spent]) => `${names[stage]} ${spent.toFixed(1)}`);
  if (!found.candidates) return "Nothing found.";
  return `${found.candidates} candidates in ${roundTrip.toFixed(0)} ms (${parts.join(", ")})`;
}

function visit(parameters) {
  if (address(parameters) !== address(asked())) history.pushState(null, "", address(parameters));
  go();
}

// The picture has an address when the server knows it.
async function byPicture(file) {
  if (!file) return;
  if (!file.type.startsWith("image/")) {
    say(`${file.name} is not a picture.`, true);
    return;
  }
  const parameters = saying(query.value.trim());
  const options = { method: "POST", body: file, headers: { "content-type": file.type } };
  const found = await ask(parameters, options, file.name);
  if (!found) return;
  parameters.append("like", found.like.at(-1).id);
  if (address(parameters) !== address(asked())) history.pushState(null, "", address(parameters));
  name();
}

// Searches for what the address names: also after Back and Forward.
function go() {
  name();
  const parameters = asked();
  if (seeks(parameters)) {
    ask(parameters, {}, parameters.has("q") ? `“${parameters.get("q")}”` : "");
  } else {
    asking?.abort();
    clear();
    say(indexed);
    query.focus();
  }
}

function name() {
  const parameters = asked();
  showFilters();
  query.value = parameters.get("q") ?? "";
  const alike = parameters.has("like") ? "like a picture" : "";
  document.title = [query.value || alike, "AnimCLIP search"].filter(Boolean).join(" - ");
  showChips(answer?.like ?? [], visit);
}

function show() {
  stop();
  const isReranked = answer.stage === "reranked";
  ranking.disabled = !isReranked;
  const by = isReranked ? ranking.querySelector("input:checked").value : "rank";
  const shown = answer.results.filter((one) => one[by] !== null && one[by] <= answer.count);
  shown.sort((a, b) => a[by] - b[by]);
  results.replaceChildren(...shown.map((one) => card(one, by)));
  telling(answer.note);
  showChips(answer.like, visit);
}

function telling(text) {
  note.hidden = !text;
  note.textContent = text || "";
}

function card(one, by) {
  const item = template.content.cloneNode(true).firstElementChild;
  const put = (name, text) => { item.querySelector(name).textContent = text; };
  put(".place", one[by]);
  // A name that is too long loses its middle: how it ends tells files apart.
  const letters = [...one.video];
  put(".head", letters.slice(0, -TAIL).join(""));
  put(".tail", letters.slice(-TAIL).join(""));
  put(".moment", one.photo ? "photo" : `${clock(one.start)} – ${clock(one.end)}`);
  const scores = [`coarse ${one.coarse.toFixed(3)}`];
  if (one.reranked !== null) scores.unshift(`re-ranked ${one.reranked.toFixed(2)}`);
  put(".scores", scores.join("  ·  "));
  const why = one.said === null ? "" : `${one.seen ? "seen, and said" : "said"}: “${one.said}”`;
  put(".why", why);
  const moved = one.coarse_rank - one.rank;
  if (one.reranked !== null && one.coarse_rank !== null && moved) {
    const mark = item.querySelector(".moved");
    mark.classList.add(moved > 0 ? "up" : "down");
    mark.textContent = `${moved > 0 ? "▲" : "▼"} ${Math.abs(moved)}`;
    mark.title = `${one.coarse_rank} before re-ranking, ${one.rank} after`;
  }
  const button = item.querySelector(".card");
  button.title = one.video;
  const time = one.photo ? "photo" : `${clock(one.start)} to ${clock(one.end)}`;
  if (!plays(one)) {
    const cannot = document.createElement("span");
    cannot.className = "failed cannot";
    const kind = [one.video.match(/[.][^./]*$/)?.[0] ?? "", one.codec ?? ""].filter(Boolean);
    cannot.textContent = `Browsers can't play it: ${kind.join(", ")}`;
    item.querySelector(".screen").append(cannot);
  }
  item.querySelector("img").src = `/thumbnail/${one.id}`;
  listen(button, one);
  const more = item.querySelector(".more");
  more.setAttribute("aria-label", `More like this: ${one.video}, ${time}`);
  more.addEventListener("click", () => visit(likeOne(one.id)));
  return item;
}

function listen(button, one) {
  let timer = 0;
  let touched = false;
  button.addEventListener("pointerenter", (event) => {
    touched = event.pointerType !== "mouse";
    if (!touched) timer = setTimeout(() => play(button, one), HOVER_MILLISECONDS);
  });
  button.addEventListener("pointerleave", (event) => {
    clearTimeout(timer);
    if (event.pointerType === "mouse" && isPlaying(button)) stop();
  });
  button.addEventListener("click", (event) => {
    clearTimeout(timer);
    // A mouse that clicks hovers: what plays goes on.
    if (isPlaying(button) && (touched || event.detail === 0)) stop();
    else if (!isPlaying(button)) play(button, one);
  });
}

function switchRanking() {
  if (ranking.disabled) return;
  const other = ranking.querySelector("input:not(:checked)");
  other.checked = true;
  show();
}

function move(key) {
  const cards = [...results.querySelectorAll(".card")];
  if (!cards.length) return false;
  const at = cards.indexOf(document.activeElement);
  if (at < 0) {
    if (key !== "ArrowDown") return false;
    cards[0].focus();
    return true;
  }
  const tops = cards.map((one) => one.getBoundingClientRect().top);
  const columns = tops.filter((top) => top === tops[0]).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (at + step < 0 && key === "ArrowUp") query.focus();
  else cards[Math.max(0, Math.min(cards.length - 1, at + step))].focus();
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target === query;
  if (event.target.closest("#filters") && event.key !== "Escape") return;
  if (event.key === "Escape") {
    if (isPlaying()) stop();
    else if (isTyping) query.blur();
    else query.focus();
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "r" && !isTyping) {
    switchRanking();
  } else if (event.key === "l" && !isTyping) {
    document.activeElement.closest("#results li")?.querySelector(".more").click();
  } else if (event.key.startsWith("Arrow") && (!isTyping || event.key === "ArrowDown")) {
    if (!event.target.closest("fieldset, #filters") && move(event.key)) event.preventDefault();
  }
}

async function begin() {
  try {
    const index = await (await fetch("/api/index")).json();
    const kinds = [[index.videos, "video"], [index.photos, "photo"]].filter(([number]) => number);
    const held = kinds.map(([number, noun]) => count(number, noun)).join(" and ");
    indexed = `${held} in ${count(index.segments, "segment")}`;
    if (!seeks(asked()) && !answer) say(indexed);
    const folders = index.folders.map((name) => new Option(name));
    document.getElementById("folders").replaceChildren(...folders);
    telling(index.note);
  } catch {
    say("The server does not answer.", true);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  visit(saying(query.value.trim()));
});
filters.addEventListener("change", () => visit(saying(query.value.trim())));
picture.addEventListener("change", () => {
  byPicture(picture.files[0]);
  picture.value = "";
});
document.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  byPicture(event.clipboardData.files[0]);
});
document.addEventListener("dragover", (event) => {
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  byPicture(event.dataTransfer.files[0]);
});
ranking.addEventListener("change", show);
document.addEventListener("keydown", onKey);

window.addEventListener("popstate", go);

go();
begin();

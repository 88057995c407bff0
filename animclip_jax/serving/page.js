// The page of `animclip serve`: asks the API, shows both rankings, plays a segment from its moment.

import {
  address, asked, isByVideo, saying, seeks, showChips, showFilters, written,
} from "/asked.js";
import { card } from "/cards.js";
import { follow } from "/detail.js";
import { showExamples } from "/examples.js";
import { offerExport } from "/export.js";
import { listenToKeys } from "/keys.js";
import { stop } from "/player.js";
import { keepResults } from "/scenes.js";
import { showVideos } from "/videos.js";

const form = document.getElementById("search");
const query = document.getElementById("query");
const picture = document.getElementById("picture");
const status = document.querySelector("#status [role=status]");
const cost = document.querySelector("#status .cost");
const note = document.getElementById("note");
const ranking = document.getElementById("ranking");
const view = document.getElementById("view");
const filters = document.getElementById("filters");
const results = document.getElementById("results");
const more = document.getElementById("more");
const examples = document.getElementById("examples");
// Results that come at once, and the most that the server gives.
const STEP = 24;
const MOST = 1000;
// How long nobody types before a search begins.
const TYPING_MILLISECONDS = 250;

let answer = null; // the API's last one, while it is shown
let answered = ""; // what that query asked
let milliseconds = 0; // from question to answer
let indexed = ""; // what the index holds
let asking = null; // aborts the request that is under way, while there is one
let requested = ""; // what that asks
let typing = 0; // the timer of a search that begins when nobody types
let wanted = STEP; // how many results are asked for
let shownByVideo = false; // how the last answer is shown

function say(text, isError = false) {
  status.textContent = text;
  status.parentElement.classList.toggle("error", isError);
  cost.textContent = "";
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// The API's answer, shown; null where there is none.
async function ask(parameters, options, sought, isMore = false) {
  asking?.abort();
  clearTimeout(typing);
  const mine = asking = new AbortController();
  requested = written(parameters);
  // Results that are there stay where more of them can't be had.
  const failed = (text) => isMore ? say(text, true) : fail(text);
  if (!isMore) wanted = STEP;
  more.setAttribute("aria-busy", "true");
  say(`Searching ${sought} ...`);
  const began = performance.now();
  try {
    const sent = new URLSearchParams([...parameters, ["n", wanted]]);
    const url = `/api/search?${written(sent)}`;
    const response = await fetch(url, { ...options, signal: mine.signal });
    const found = await response.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return null; // A proxy's page.
    });
    if (!response.ok || !found) {
      failed(found?.error ?? `The server answered ${response.status}.`);
      return null;
    }
    answer = found;
    answered = options.method ? "" : written(parameters);
    milliseconds = performance.now() - began;
    show(isMore);
    return found;
  } catch (error) {
    if (error.name !== "AbortError") failed("The server does not answer.");
    return null;
  } finally {
    if (asking === mine) {
      asking = null;
      more.removeAttribute("aria-busy");
    }
  }
}

// Nothing is shown that the words above it are not about.
function clear() {
  stop();
  answer = null;
  ranking.disabled = true;
  more.hidden = true;
  examples.hidden = true;
  offerExport(0);
  results.replaceChildren();
}

function fail(text) {
  clear();
  say(text, true);
}

// Says how many results there are, and besides, which nobody needs to hear, what they took.
function tell(videos) {
  const names = { encode: "encoding", coarse: "coarse search", rerank: "re-ranking", words: "words" };
  const parts = Object.entries(answer.milliseconds).map(
    ([stage, spent]) => `${names[stage]} ${spent.toFixed(1)}`);
  if (!answer.candidates) {
    say("Nothing found.");
    return;
  }
  const found = count(answer.count, "result");
  say(videos === null ? found : `${found} in ${count(videos, "video")}`);
  const candidates = count(answer.candidates, "candidate");
  cost.textContent = ` from ${candidates} in ${milliseconds.toFixed(0)} ms (${parts.join(", ")})`;
}

// A search that was meant gets an entry of the history; while somebody types, one entry serves all.
function visit(parameters, isDraft = false) {
  const state = { isDraft };
  if (history.state?.isDraft) history.replaceState(state, "", address(parameters));
  else if (address(parameters) !== address(asked())) history.pushState(state, "", address(parameters));
  go();
}

function type(event) {
  clearTimeout(typing);
  if (event.isComposing) return;
  const text = query.value.trim();
  if (!text || text === asked().get("q")) return;
  typing = setTimeout(() => visit(saying(text), true), TYPING_MILLISECONDS);
}

// What the words above the results said when somebody turned to these was meant.
function mean() {
  const isShown = query.value.trim() === (asked().get("q") ?? "");
  if (history.state?.isDraft && isShown) history.replaceState({ isDraft: false }, "");
}

// Whoever is at the button goes on to the first new result.
async function showMore() {
  if (!answer || more.getAttribute("aria-busy") === "true") return;
  const isAtButton = document.activeElement === more;
  const before = results.children.length;
  const [shown, had] = [answer, wanted];
  const mine = wanted = Math.min(wanted + STEP, MOST);
  const found = await ask(asked(), {}, "for more", true);
  // A search that came between asks for its own number.
  if (!found && wanted === mine && answer === shown) wanted = had;
  if (found && isAtButton) (results.children[before] ?? results.lastElementChild).querySelector("button").focus();
}

// The picture has an address when the server knows it.
async function byPicture(file) {
  if (!file) return;
  if (!file.type.startsWith("image/")) {
    say(`${file.name} is not a picture.`, true);
    return;
  }
  clearTimeout(typing);
  const parameters = saying(query.value.trim());
  const options = { method: "POST", body: file, headers: { "content-type": file.type } };
  const found = await ask(parameters, options, file.name);
  if (!found) return;
  parameters.append("like", found.like.at(-1).id);
  if (address(parameters) !== address(asked())) history.pushState(null, "", address(parameters));
  answered = written(asked());
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
    clearTimeout(typing);
    clear();
    examples.hidden = false;
    say(indexed);
    // Who chooses filters goes on with them.
    if (!filters.contains(document.activeElement)) query.focus();
  }
}

// After Back and Forward: what is shown already is not asked for again, unless something else will be.
function come() {
  showView();
  clearTimeout(typing);
  const here = written(asked());
  if (!answer || answered !== here || (asking && requested !== here)) go();
  else if (shownByVideo !== isByVideo()) show();
  follow();
}

function showView() {
  view.querySelector(`[value="${isByVideo() ? "videos" : ""}"]`).checked = true;
}

function name() {
  const parameters = asked();
  showFilters();
  const sentence = parameters.get("q") ?? "";
  if (query.value.trim() !== sentence) query.value = sentence;
  const alike = parameters.has("like") ? "like a picture" : "";
  document.title = [sentence || alike, "AnimCLIP search"].filter(Boolean).join(" - ");
  showChips(answer?.like ?? [], visit);
}

// Shows the answer; where it is more of the same, behind what is there.
function show(isMore = false) {
  const here = document.activeElement;
  const isThere = !isMore && (results.contains(here) || examples.contains(here));
  const at = here.closest("#results [data-id]")?.dataset.id ?? "";
  examples.hidden = true;
  more.hidden = answer.count < wanted || wanted >= MOST;
  const isReranked = answer.stage === "reranked";
  ranking.disabled = !isReranked;
  const by = isReranked ? ranking.querySelector("input:checked").value : "rank";
  const shown = answer.results.filter((one) => one[by] !== null && one[by] <= answer.count);
  shown.sort((a, b) => a[by] - b[by]);
  if (!isMore) {
    stop();
    results.replaceChildren();
  }
  shownByVideo = isByVideo();
  results.classList.toggle("videos", shownByVideo);
  if (shownByVideo) {
    showVideos(shown, by);
  } else {
    const known = new Set([...results.children].map((item) => item.dataset.id));
    const others = shown.filter((one) => !known.has(one.id));
    results.append(...others.map((one) => card(one, by, visit)));
  }
  tell(shownByVideo ? results.children.length : null);
  offerExport(shown.length, by === "coarse_rank");
  keepResults(shown);
  telling(answer.note);
  showChips(answer.like, visit);
  if (isThere) focusOn(at);
}

// Goes on at the same result, at the same video, or at the first.
function focusOn(id) {
  const places = [`[data-id="${id}"] button`, `[data-video="${id.split("-")[0]}"] button`, "button"];
  (places.map((one) => results.querySelector(one)).find(Boolean) ?? query).focus();
}

function telling(text) {
  note.hidden = !text;
  note.textContent = text || "";
}

function switchRanking() {
  if (ranking.disabled) return;
  const other = ranking.querySelector("input:not(:checked)");
  other.checked = true;
  show();
}

function switchView() {
  view.querySelector("input:not(:checked)").click();
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
    showExamples(index, visit);
  } catch {
    say("The server does not answer.", true);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  visit(saying(query.value.trim()));
});
// A date changes with each figure of its year.
filters.addEventListener("change", ({ target }) => visit(saying(query.value.trim()), target.type === "date"));
filters.addEventListener("focusout", mean);
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
ranking.addEventListener("change", () => show());
view.addEventListener("change", () => {
  history.pushState(null, "", address(asked(), view.querySelector(":checked").value === "videos"));
  if (answer) show();
});
query.addEventListener("input", type);
query.addEventListener("compositionend", type);
query.addEventListener("change", mean);
results.addEventListener("focusin", mean);
results.addEventListener("pointerdown", mean);
more.addEventListener("click", showMore);
new IntersectionObserver((seen) => {
  if (seen.some((one) => one.isIntersecting)) showMore();
}, { rootMargin: "400px" }).observe(more);
listenToKeys({ r: switchRanking, v: switchView }, visit);

// What gets the focus is not scrolled under the head, which stays where it is on wide pages.
new ResizeObserver(([{ target }]) => {
  const isFixed = getComputedStyle(target).position === "sticky";
  document.documentElement.style.scrollPaddingTop = isFixed ? `${target.offsetHeight + 8}px` : "";
}).observe(document.querySelector("header"));

window.addEventListener("popstate", come);

come();
begin();

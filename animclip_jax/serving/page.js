// The page of `animclip serve`: asks the API, shows both rankings, plays a segment from its moment.
"use strict";

const form = document.getElementById("search");
const query = document.getElementById("query");
const picture = document.getElementById("picture");
const status = document.getElementById("status");
const note = document.getElementById("note");
const ranking = document.getElementById("ranking");
const results = document.getElementById("results");
const template = document.getElementById("card");
// A pointer that only passes starts nothing.
const HOVER_MILLISECONDS = 150;
// A seek may land on the frame before.
const SEEK_SECONDS = 1;
// Where a machine decodes HEVC in hardware, its browsers play it; the server can't know that.
const HEVC = 'video/mp4; codecs="hvc1.1.6.L93.B0"';
// Letters of a name that are always shown.
const TAIL = 12;

// What was searched by picture, by the state of its place in the history.
const pictures = new Map();

let answer = null; // the API's last one, while it is shown
let indexed = ""; // what the index holds
let asking = null; // aborts the request that is under way
let playing = null; // stops the segment that plays

function clock(seconds) {
  const rounded = Math.round(seconds * 10) / 10;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

async function ask(url, options, sought) {
  asking = new AbortController();
  say(`Searching ${sought} ...`);
  const began = performance.now();
  try {
    const response = await fetch(url, { ...options, signal: asking.signal });
    const found = await response.json().catch((error) => {
      if (error.name === "AbortError") throw error;
      return null; // A proxy's page.
    });
    if (!response.ok || !found) {
      fail(found?.error ?? `The server answered ${response.status}.`);
      return;
    }
    answer = found;
    show();
    say(told(found, performance.now() - began));
  } catch (error) {
    if (error.name !== "AbortError") fail("The server does not answer.");
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
  const names = { encode: "encoding", coarse: "coarse search", rerank: "re-ranking" };
  const parts = Object.entries(found.milliseconds).map(
    ([stage, spent]) => `${names[stage]} ${spent.toFixed(1)}`);
  return `${found.candidates} candidates in ${roundTrip.toFixed(0)} ms (${parts.join(", ")})`;
}

function byText() {
  const text = query.value.trim();
  if (!text) return;
  if (text !== asked()) history.pushState(null, "", `/?q=${encodeURIComponent(text)}`);
  go();
}

function byPicture(file) {
  if (!file) return;
  const state = `${performance.timeOrigin} ${pictures.size}`;
  pictures.set(state, file);
  history.pushState(state, "", "/");
  go();
}

function asked() {
  return (new URLSearchParams(location.search).get("q") ?? "").trim();
}

// Searches for what the address, or the state of the history, names: also after Back and Forward.
function go() {
  asking?.abort();
  const text = asked();
  const file = text ? null : pictures.get(history.state);
  query.value = text;
  document.title = [text || file?.name, "AnimCLIP search"].filter(Boolean).join(" - ");
  if (text) {
    ask(`/api/search?q=${encodeURIComponent(text)}`, {}, `“${text}”`);
  } else if (file) {
    const options = { method: "POST", body: file, headers: { "content-type": file.type } };
    ask("/api/search", options, file.name);
  } else {
    clear();
    say(indexed);
    query.focus();
  }
}

function show() {
  stop();
  const isReranked = answer.stage === "reranked";
  ranking.disabled = !isReranked;
  const by = isReranked ? ranking.querySelector("input:checked").value : "coarse_rank";
  const shown = answer.results.filter((one) => one[by] <= answer.count);
  shown.sort((a, b) => a[by] - b[by]);
  results.replaceChildren(...shown.map((one) => card(one, by)));
  telling(answer.note);
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
  put(".moment", `${clock(one.start)} – ${clock(one.end)}`);
  const scores = [`coarse ${one.coarse.toFixed(3)}`];
  if (one.reranked !== null) scores.unshift(`re-ranked ${one.reranked.toFixed(2)}`);
  put(".scores", scores.join("  ·  "));
  const moved = one.coarse_rank - one.rank;
  if (one.reranked !== null && moved) {
    const mark = item.querySelector(".moved");
    mark.classList.add(moved > 0 ? "up" : "down");
    mark.textContent = `${moved > 0 ? "▲" : "▼"} ${Math.abs(moved)}`;
    mark.title = `${one.coarse_rank} before re-ranking, ${one.rank} after`;
  }
  const button = item.querySelector(".card");
  button.title = one.video;
  const words = [one.video, `${clock(one.start)} to ${clock(one.end)}`, ...scores];
  if (!plays(one)) {
    const cannot = document.createElement("span");
    cannot.className = "failed cannot";
    const kind = [one.video.match(/[.][^./]*$/)?.[0] ?? "", one.codec ?? ""].filter(Boolean);
    cannot.textContent = `Browsers can't play it: ${kind.join(", ")}`;
    item.querySelector(".screen").append(cannot);
    words.push(cannot.textContent);
  }
  button.setAttribute("aria-label", `${one[by]}: ${words.join(", ")}`);
  item.querySelector("img").src = `/thumbnail/${one.segment}`;
  listen(button, one);
  return item;
}

function plays(one) {
  const couldBe = one.codec === "hevc" && /[.](mp4|m4v|mov|mkv)$/i.test(one.video);
  return one.plays || (couldBe && document.createElement("video").canPlayType(HEVC) !== "");
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
    if (event.pointerType === "mouse" && playing?.button === button) stop();
  });
  button.addEventListener("click", (event) => {
    clearTimeout(timer);
    const isPlaying = playing?.button === button;
    // A mouse that clicks hovers: what plays goes on.
    if (isPlaying && (touched || event.detail === 0)) stop();
    else if (!isPlaying) play(button, one);
  });
}

function play(button, one) {
  stop();
  const screen = button.querySelector(".screen");
  const isPicture = one.media_type.startsWith("image/");
  const player = document.createElement(isPicture ? "img" : "video");
  player.addEventListener("error", () => failed(screen, player));
  if (!isPicture) {
    Object.assign(player, { muted: true, playsInline: true });
    playFrom(player, one.start, one.end);
  }
  player.src = `/video/${one.segment}`;
  screen.insertBefore(player, screen.querySelector(".moment"));
  playing = { button, player };
}

// Plays from start to end, again and again: until a seek does not land there, as in a file whose
// clock is another one. It would not land the next time either.
function playFrom(player, start, end) {
  let hasLanded = true;
  const begin = () => {
    if (!hasLanded) return;
    player.currentTime = start;
    player.play().catch(() => {}); // It was stopped meanwhile.
  };
  player.addEventListener("loadedmetadata", begin);
  player.addEventListener("ended", begin);
  player.addEventListener("seeked", () => {
    hasLanded = player.currentTime >= start - SEEK_SECONDS && player.currentTime < end;
  });
  player.addEventListener("timeupdate", () => {
    if (player.currentTime >= end && !player.seeking) begin();
  });
}

function failed(screen, player) {
  if (!player.isConnected) return;
  player.remove();
  if (screen.querySelector(".cannot")) return; // It is said already.
  const text = document.createElement("span");
  text.className = "failed";
  text.textContent = "This browser can't play it";
  screen.append(text);
}

function stop() {
  if (!playing) return;
  const { player, button } = playing;
  playing = null;
  player.remove();
  player.removeAttribute("src");
  player.load?.();
  button.querySelector(".failed:not(.cannot)")?.remove();
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
  const top = cards[0].offsetTop;
  const columns = cards.filter((one) => one.offsetTop === top).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (at + step < 0 && key === "ArrowUp") query.focus();
  else cards[Math.max(0, Math.min(cards.length - 1, at + step))].focus();
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target === query;
  if (event.key === "Escape") {
    if (playing) stop();
    else if (isTyping) query.blur();
    else query.focus();
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "r" && !isTyping) {
    switchRanking();
  } else if (event.key.startsWith("Arrow") && (!isTyping || event.key === "ArrowDown")) {
    if (event.target.name !== "ranking" && move(event.key)) event.preventDefault();
  }
}

async function begin() {
  try {
    const index = await (await fetch("/api/index")).json();
    indexed = `${index.videos} videos in ${index.segments} segments`;
    if (!asked() && !answer) say(indexed);
    telling(index.note);
  } catch {
    say("The server does not answer.", true);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  byText();
});
picture.addEventListener("change", () => {
  byPicture(picture.files[0]);
  picture.value = "";
});
ranking.addEventListener("change", show);
document.addEventListener("keydown", onKey);

window.addEventListener("popstate", go);

go();
begin();

// The results by video: a card each, with the video's best moments in the order of time.

import { shownName, time } from "/cards.js";
import { open } from "/detail.js";

const results = document.getElementById("results");
const template = document.getElementById("video");
const pickTemplate = document.getElementById("pick");
// Moments that a video shows, at most.
const MOST = 6;

// Shows moments that stand in the order of their ranking; what is there already stays, with its focus.
export function showVideos(moments, by) {
  const videos = Map.groupBy(moments, (one) => one.id.split("-")[0]);
  const there = new Map([...results.children].map((item) => [item.dataset.video, item]));
  let place = 0;
  for (const [key, found] of videos) {
    place += 1;
    const item = there.get(key) ?? made(key, found[0], place);
    fill(item, found, by);
  }
}

function made(key, best, place) {
  const item = template.content.cloneNode(true).firstElementChild;
  item.dataset.video = key;
  item.querySelector(".place").textContent = place;
  shownName(item, best.video);
  item.querySelector(".name").title = best.video;
  item.querySelector("ol").setAttribute("aria-label", `Moments of ${best.video}`);
  results.append(item);
  return item;
}

function fill(item, found, by) {
  const some = found.slice(0, MOST);
  const told = found.length === 1 ? "1 moment" : `${found.length} moments`;
  item.querySelector(".scores").textContent = found.length > MOST ? `the best ${MOST} of ${told}` : told;
  const strip = item.querySelector("ol");
  const there = new Map([...strip.children].map((one) => [one.dataset.id, one]));
  some.sort((a, b) => a.start - b.start);
  for (const [at, one] of some.entries()) {
    const pick = there.get(one.id) ?? offer(one, by);
    pick.classList.toggle("first", one === found[0]);
    if (strip.children[at] !== pick) strip.insertBefore(pick, strip.children[at] ?? null);
  }
}

function offer(one, by) {
  const item = pickTemplate.content.cloneNode(true).firstElementChild;
  item.dataset.id = one.id;
  item.querySelector("img").src = `/thumbnail/${one.id}`;
  item.querySelector(".place").textContent = one[by];
  item.querySelector(".moment").textContent = time(one);
  const button = item.querySelector("button");
  const why = one.said === null ? "" : `: “${one.said}”`;
  button.title = `Open at ${time(one)}${why}`;
  button.addEventListener("click", () => open(one.id));
  return item;
}

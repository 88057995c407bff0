// One result: a card that plays.

import { clock, likeOne } from "/asked.js";
import { open } from "/detail.js";
import { listen } from "/hovering.js";
import { plays } from "/player.js";
import { isScene } from "/scenes.js";

const template = document.getElementById("card");
// Letters of a name that are always shown.
const TAIL = 12;

// A result as a list item; search: what searches for other parameters.
export function card(one, by, search) {
  const item = template.content.cloneNode(true).firstElementChild;
  item.dataset.id = one.id;
  const put = (name, text) => { item.querySelector(name).textContent = text; };
  put(".place", one[by]);
  shownName(item, one.video);
  put(".moment", isScene(one) ? `${one.segments.length} moments in ${time(one)}` : time(one));
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
  if (!plays(one)) {
    const cannot = document.createElement("span");
    cannot.className = "failed cannot";
    const kind = [one.video.match(/[.][^./]*$/)?.[0] ?? "", one.codec ?? ""].filter(Boolean);
    cannot.textContent = `Browsers can't play it: ${kind.join(", ")}`;
    item.querySelector(".screen").append(cannot);
  }
  item.querySelector("img").src = `/thumbnail/${one.id}`;
  listen(button, one);
  const opener = item.querySelector(".open");
  opener.setAttribute("aria-label", `Open: ${one.video}, ${time(one)}`);
  opener.addEventListener("click", () => open(one.id));
  const more = item.querySelector(".more");
  more.setAttribute("aria-label", `More like this: ${one.video}, ${time(one)}`);
  more.addEventListener("click", () => search(likeOne(one.id)));
  return item;
}

// A name that is too long loses its middle: how it ends tells files apart.
export function shownName(item, name) {
  const letters = [...name];
  item.querySelector(".head").textContent = letters.slice(0, -TAIL).join("");
  item.querySelector(".tail").textContent = letters.slice(-TAIL).join("");
}

// When a result is: the whole scene where it stands for several moments of one.
export function time(one) {
  if (one.photo) return "photo";
  const [start, end] = isScene(one) ? [one.scene_start, one.scene_end] : [one.start, one.end];
  return `${clock(start)} – ${clock(end)}`;
}

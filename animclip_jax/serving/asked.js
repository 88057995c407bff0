// What is searched for: the parameters of the page's address, which are those of the API.
// Besides these it says how the page shows what was found.

const PARTS = ["without", "like", "unlike"];
const FILTERS = ["by", "kind", "shape", "folder", "name", "since", "until", "longer", "shorter"];
const NAMES = ["q", ...PARTS, ...FILTERS];
const filters = document.getElementById("filters");
const chips = document.getElementById("chips");
const query = document.getElementById("query");
const template = document.getElementById("chip");

export function asked() {
  const found = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    const isDefault = name === "by" && value.trim() === "both";
    if (NAMES.includes(name) && value.trim() && !isDefault) found.append(name, value.trim());
  }
  return found;
}

export function written(parameters) {
  return parameters.toString().replaceAll("+", "%20");
}

// Whether the page shows its results by video, which its address says, too.
export function isByVideo() {
  return new URLSearchParams(location.search).get("view") === "videos";
}

// The page's address for what the API is asked.
export function address(parameters, byVideo = isByVideo()) {
  const all = new URLSearchParams(parameters);
  if (byVideo) all.set("view", "videos");
  return all.size ? `/?${written(all)}` : "/";
}

// Parameters with another sentence, or without one, and the filters as they stand on the page.
export function saying(text) {
  const parts = [...asked()].filter(([name]) => PARTS.includes(name));
  return new URLSearchParams([...(text ? [["q", text]] : []), ...parts, ...chosen()]);
}

function chosen() {
  const fields = FILTERS.map((name) => [name, filters.querySelector(`[name=${name}]`).value.trim()]);
  return fields.filter(([, value]) => value);
}

// What is like a moment, among what the filters let through.
export function likeOne(id) {
  return new URLSearchParams([["like", id], ...chosen()]);
}

// Whether there is anything to search for.
export function seeks(parameters) {
  return ["q", ...PARTS].some((name) => parameters.has(name));
}

// Shows the address's filters, and how many there are.
export function showFilters() {
  const parameters = asked();
  for (const name of FILTERS) {
    filters.querySelector(`[name=${name}]`).value = parameters.get(name) ?? "";
  }
  const count = FILTERS.filter((name) => parameters.has(name)).length;
  filters.querySelector("summary").textContent = count ? `Filters (${count})` : "Filters";
}

// Shows what is searched by besides the sentence; known: what the answer tells of it.
export function showChips(known, change) {
  const shown = [...asked()].filter(([name]) => PARTS.includes(name));
  const at = [...chips.children].findIndex((one) => one.querySelector(":focus-visible"));
  chips.hidden = !shown.length;
  chips.replaceChildren(...shown.map(([name, value], place) => chip(name, value, place, known, change)));
  // Who removes one by the keyboard goes on at the next.
  if (at >= 0) (chips.children[Math.min(at, shown.length - 1)]?.firstElementChild ?? query).focus();
}

function chip(name, value, place, known, change) {
  const item = template.content.cloneNode(true).firstElementChild;
  const id = value.split("^")[0];
  const sign = { without: "without", like: "like", unlike: "not like" }[name];
  const told = name === "without" ? value : label(id, known);
  item.querySelector(".sign").textContent = sign;
  item.querySelector(".told").textContent = told;
  const picture = item.querySelector("img");
  if (name === "without") picture.remove();
  else picture.src = `${id.includes("-") ? "/thumbnail" : "/picture"}/${id}`;
  const button = item.querySelector("button");
  button.setAttribute("aria-label", `Remove: ${sign} ${told}`);
  button.addEventListener("click", () => {
    const parts = [...asked()];
    const mine = parts.filter(([other]) => PARTS.includes(other))[place];
    change(new URLSearchParams(parts.filter((one) => one !== mine)));
  });
  return item;
}

function label(id, known) {
  const one = known.find((each) => each.id === id);
  return one?.video ? `${one.video.split("/").pop()} ${clock(one.start)}` : "this picture";
}

export function clock(seconds) {
  const rounded = Math.round(seconds * 10) / 10;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

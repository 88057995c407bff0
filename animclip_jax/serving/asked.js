// What is searched for: the parameters of the page's address, which are those of the API.

const NAMES = ["q", "without", "like", "unlike"];
const chips = document.getElementById("chips");
const template = document.getElementById("chip");

export function asked() {
  const found = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (NAMES.includes(name) && value.trim()) found.append(name, value.trim());
  }
  return found;
}

export function written(parameters) {
  return parameters.toString().replaceAll("+", "%20");
}

export function address(parameters) {
  return parameters.size ? `/?${written(parameters)}` : "/";
}

// Parameters with another sentence, or without one.
export function saying(text) {
  const parameters = asked();
  parameters.delete("q");
  return new URLSearchParams([...(text ? [["q", text]] : []), ...parameters]);
}

// Shows what is searched by besides the sentence; known: what the answer tells of it.
export function showChips(known, change) {
  const shown = [...asked()].filter(([name]) => name !== "q");
  chips.hidden = !shown.length;
  chips.replaceChildren(...shown.map(([name, value], place) => chip(name, value, place, known, change)));
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
    const shown = [...asked()].filter(([other]) => other !== "q");
    shown.splice(place, 1);
    const text = asked().get("q");
    change(new URLSearchParams([...(text ? [["q", text]] : []), ...shown]));
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

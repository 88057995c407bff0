// What an empty page offers: sentences for models that know the world, and moments of this index.

import { likeOne, saying } from "/asked.js";

const examples = document.getElementById("examples");

export function showExamples(index, search) {
  examples.querySelector(".sentences").hidden = Boolean(index.note);
  for (const one of examples.querySelectorAll(".sentences button")) {
    one.addEventListener("click", () => search(saying(one.textContent)));
  }
  const moments = index.examples.map((id, place) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `More like moment ${place + 1} of your videos`);
    const picture = new Image(320, 180);
    picture.alt = "";
    picture.src = `/thumbnail/${id}`;
    button.append(picture);
    button.addEventListener("click", () => search(likeOne(id)));
    item.append(button);
    return item;
  });
  examples.querySelector(".moments").replaceChildren(...moments);
}


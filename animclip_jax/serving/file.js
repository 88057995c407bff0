// What one does with the file of a moment: copies where it lies, or has its folder opened.

import { clock } from "/asked.js";

const dialog = document.getElementById("detail");
const folder = dialog.querySelector(".folder");
const done = dialog.querySelector(".done");

let place = null; // what the server says of where the file lies

// Asks where the file of a moment lies, and shows what can be done there.
export async function learnPlace(id, signal) {
  place = null;
  folder.hidden = true;
  done.textContent = "";
  try {
    const answer = await fetch(`/api/folder/${encodeURIComponent(id)}`, { signal });
    if (!answer.ok) return;
    place = await answer.json();
    folder.hidden = !place.opens;
  } catch {
    // Its name is enough for copying.
  }
}

export async function copyPlace(one) {
  const path = place?.path ?? one.video;
  const text = one.photo ? path : `${path} ${clock(one.start)}-${clock(one.end)}`;
  done.textContent = "";
  done.textContent = await isCopied(text) ? `Copied: ${text}` : `Not copied, the browser forbids it: ${text}`;
}

async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return isCopiedOldWay(text);
  }
}

// Where the page came over plain HTTP from another machine, browsers have no clipboard for it.
function isCopiedOldWay(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  dialog.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isDone;
}

export async function openFolder(one) {
  if (folder.hidden) return;
  done.textContent = "Opening the folder ...";
  try {
    const answer = await fetch(`/api/folder/${encodeURIComponent(one.id)}`, { method: "POST" });
    done.textContent = answer.ok ? "The folder was opened." : (await answer.json()).error;
  } catch {
    done.textContent = "The server does not answer.";
  }
}

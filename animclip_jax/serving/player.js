// Plays a segment in its card, from its moment to its end: the video, or where the browser can't
// play that, a preview that the server makes. Both have the times of the video.

// A seek may land on the frame before.
const SEEK_SECONDS = 1;
// Where a machine decodes HEVC in hardware, its browsers play it; the server can't know that.
const HEVC = 'video/mp4; codecs="hvc1.1.6.L93.B0"';

let playing = null; // the card's button and screen, what shows the segment, what asks for a preview

// Whether there is anything to play.
export function plays(one) {
  return Boolean(one.preview) || playsItself(one);
}

// Whether browsers play it, as was measured, or this one says so.
function playsItself(one) {
  const couldBe = one.codec === "hevc" && /[.](mp4|m4v|mov|mkv)$/i.test(one.video);
  return one.plays || (couldBe && knows(HEVC));
}

function knows(type) {
  return document.createElement("video").canPlayType(type) !== "";
}

export function isPlaying(button) {
  return button ? playing?.button === button : playing !== null;
}

// isLarge: with sound and controls, and on beyond the segment's end. from: the second to begin at.
export function play(button, one, isLarge = false, from = one.start) {
  stop();
  const screen = button.querySelector(".screen");
  playing = { button, screen, isLarge, from, player: null, asking: new AbortController() };
  // Some play more than was measured: what is not surely in vain is tried first.
  const inVain = !playsItself(one) && !knows(one.media_type);
  if (one.preview && inVain) playPreview(playing, one);
  else playVideo(playing, one);
}

function playVideo(current, one) {
  const kind = one.media_type.startsWith("image/") ? "img" : "video";
  show(current, one, kind, `/video/${one.id}`, () => {
    if (one.preview) playPreview(current, one);
    else say(current, "This browser can't play it");
  });
}

async function playPreview(current, one) {
  say(current, "Making a preview ...");
  try {
    // A byte of it says that it is there, and why if it is not.
    const options = { headers: { range: "bytes=0-0" }, signal: current.asking.signal };
    const answer = await fetch(one.preview, options);
    const problem = answer.ok ? "" : (await answer.json()).error;
    if (current !== playing) return;
    say(current, problem);
    if (problem) return;
    show(current, one, "video", one.preview, () => say(current, "This browser can't play it"));
  } catch {
    if (current === playing) say(current, "The server does not answer");
  }
}

function show(current, one, kind, address, failed) {
  const player = document.createElement(kind);
  const fail = (event) => {
    event.stopImmediatePropagation();
    if (!player.isConnected) return;
    discard(player);
    failed();
  };
  player.addEventListener("error", fail);
  if (kind === "video") {
    const { isLarge } = current;
    Object.assign(player, { muted: !isLarge, controls: isLarge, playsInline: true });
    // Of a file whose pictures it does not know, a browser plays the sound.
    player.addEventListener("loadedmetadata", (event) => {
      if (!player.videoWidth) fail(event);
    });
    if (isLarge) playOn(player, current.from);
    else playFrom(player, one.start, one.end, current.from);
  }
  player.src = address;
  current.player = player;
  current.screen.insertBefore(player, current.screen.querySelector(".moment"));
}

function playOn(player, start) {
  player.addEventListener("loadedmetadata", () => {
    player.currentTime = start;
    player.play().catch(() => {}); // It was stopped meanwhile, or waits for a click.
  }, { once: true });
}

// Plays from start to end, first from another second, again and again: until a seek does not land there, as in a file whose
// clock is another one. It would not land the next time either.
function playFrom(player, start, end, from) {
  let hasLanded = true;
  let next = from;
  const begin = () => {
    if (!hasLanded) return;
    player.currentTime = next;
    next = start;
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

// Says something on the screen, in place of what was said before.
function say({ screen }, text) {
  if (screen.querySelector(".cannot")) return; // It is said already.
  screen.querySelector(".failed")?.remove();
  if (!text) return;
  const said = document.createElement("span");
  said.className = "failed";
  said.textContent = text;
  screen.append(said);
}

function discard(player) {
  player.remove();
  player.removeAttribute("src");
  player.load?.();
}

export function stop() {
  if (!playing) return;
  const current = playing;
  playing = null;
  current.asking.abort();
  if (current.player) discard(current.player);
  say(current, "");
}

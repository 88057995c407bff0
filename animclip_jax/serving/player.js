// Plays a segment in its card, from its moment to its end.

// A seek may land on the frame before.
const SEEK_SECONDS = 1;
// Where a machine decodes HEVC in hardware, its browsers play it; the server can't know that.
const HEVC = 'video/mp4; codecs="hvc1.1.6.L93.B0"';

let playing = null; // the card's button, and what shows the segment

export function plays(one) {
  const couldBe = one.codec === "hevc" && /[.](mp4|m4v|mov|mkv)$/i.test(one.video);
  return one.plays || (couldBe && document.createElement("video").canPlayType(HEVC) !== "");
}

export function isPlaying(button) {
  return button ? playing?.button === button : playing !== null;
}

export function play(button, one) {
  stop();
  const screen = button.querySelector(".screen");
  const isPicture = one.media_type.startsWith("image/");
  const player = document.createElement(isPicture ? "img" : "video");
  player.addEventListener("error", () => failed(screen, player));
  if (!isPicture) {
    Object.assign(player, { muted: true, playsInline: true });
    playFrom(player, one.start, one.end);
  }
  player.src = `/video/${one.id}`;
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

export function stop() {
  if (!playing) return;
  const { player, button } = playing;
  playing = null;
  player.remove();
  player.removeAttribute("src");
  player.load?.();
  button.querySelector(".failed:not(.cannot)")?.remove();
}

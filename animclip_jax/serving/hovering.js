// A pointer on a result: where it rests, the result plays; where it moves, it goes through the
// frames. A finger drags through these, and taps to play.

import { clock } from "/asked.js";
import { isPlaying, play, stop } from "/player.js";

// A pointer that only passes starts nothing.
const HOVER_MILLISECONDS = 150;
// How long a pointer that went through the frames rests before the result plays from there.
const REST_MILLISECONDS = 500;
// A hand on a mouse is never quite still, in pixels.
const STILL = 8;
// Of a strip, as the API tells it.
const FRAMES = 16;
const LONGEST_SECONDS = 30;

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

// button: with the result's picture in its `.screen`.
export function listen(button, one) {
  new Hovering(button, one);
}

class Hovering {
  constructor(button, one) {
    Object.assign(this, { button, one, screen: button.querySelector(".screen") });
    this.label = this.screen.querySelector(".moment");
    this.span = this.label.textContent;
    // The server makes strips of what it makes previews of.
    this.hasStrip = Boolean(one.preview);
    Object.assign(this, { timer: 0, isTouched: false, wasDragged: false });
    // Where the pointer came in, and is; the second that it points at; the frames.
    Object.assign(this, { entered: null, x: 0, at: null, strip: null });
    for (const name of ["enter", "down", "move", "up", "leave", "cancel"]) {
      button.addEventListener(`pointer${name}`, (event) => this[name](event));
    }
    button.addEventListener("click", (event) => this.click(event));
  }

  enter(event) {
    this.isTouched = event.pointerType !== "mouse";
    this.entered = { x: event.clientX, milliseconds: event.timeStamp };
    this.wasDragged = false;
    this.at = null;
    if (!this.isTouched && !reduced.matches) this.wait(HOVER_MILLISECONDS);
  }

  // What is dragged begins here.
  down(event) {
    if (!(this.isTouched || reduced.matches)) return;
    this.at = null;
    this.entered.x = event.clientX;
  }

  wait(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.play(), milliseconds);
  }

  play() {
    play(this.button, this.one, false, this.at ?? this.one.start);
    this.label.textContent = this.span;
  }

  move(event) {
    if (!this.hasStrip || !this.entered) return;
    const isPressed = event.buttons !== 0;
    const isMeant = isPressed || (!reduced.matches && event.timeStamp - this.entered.milliseconds >= HOVER_MILLISECONDS);
    const isStill = this.at === null && Math.abs(event.clientX - this.entered.x) < STILL;
    if (!isMeant || isStill) return;
    this.goTo(event.clientX);
    clearTimeout(this.timer);
    if (!this.isTouched && !reduced.matches) this.wait(REST_MILLISECONDS);
  }

  // Shows the frame that belongs to a place on the screen.
  goTo(x) {
    this.x = x;
    const { left, width } = this.screen.getBoundingClientRect();
    const share = Math.max(0, Math.min((x - left) / width, 1 - 1e-6));
    const { start, end } = this.one;
    this.at = start + share * Math.min(end - start, LONGEST_SECONDS);
    if (!this.strip) this.load();
    if (!this.strip.isThere) return;
    if (isPlaying(this.button)) stop();
    this.strip.frames.hidden = false;
    this.strip.picture.style.left = `${-100 * Math.floor(share * FRAMES)}%`;
    this.strip.line.style.width = `${100 * share}%`;
    this.label.textContent = clock(this.at);
  }

  load() {
    const frames = document.createElement("span");
    const picture = new Image();
    const line = document.createElement("span");
    const strip = this.strip = { frames, picture, line, isThere: false };
    frames.className = "frames";
    frames.hidden = true;
    line.className = "line-of-time";
    picture.alt = "";
    picture.draggable = false;
    picture.addEventListener("load", () => {
      strip.isThere = true;
      if (this.strip === strip && !isPlaying(this.button)) this.goTo(this.x);
    });
    picture.addEventListener("error", () => { this.hasStrip = this.strip !== strip; });
    picture.src = `/strip/${this.one.id}`;
    frames.append(picture, line);
    // Below what plays.
    this.screen.firstElementChild.after(frames);
  }

  up() {
    if (this.at === null || !(this.isTouched || reduced.matches)) return;
    this.wasDragged = true;
    if (!reduced.matches) this.play();
  }

  // The finger scrolls.
  cancel() {
    this.entered = null;
    this.forget();
  }

  leave(event) {
    clearTimeout(this.timer);
    // A finger leaves when it is lifted: what it chose stays.
    if (event.pointerType !== "mouse") return;
    this.forget();
    if (isPlaying(this.button)) stop();
  }

  forget() {
    this.strip?.picture.removeAttribute("src");
    this.strip?.frames.remove();
    this.strip = this.at = null;
    this.label.textContent = this.span;
  }

  click(event) {
    clearTimeout(this.timer);
    if (this.wasDragged) {
      this.wasDragged = false;
      return;
    }
    // A mouse that clicks hovers: what plays goes on.
    if (isPlaying(this.button) && (this.isTouched || event.detail === 0)) stop();
    else if (!isPlaying(this.button)) this.play();
  }
}

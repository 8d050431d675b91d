// The waveform of a speech with its turns as coloured regions.

import WaveSurfer from "./vendor/wavesurfer.js";
import Regions from "./vendor/regions.js";

const PEAKS = 400; // a second
const REDRAW = 200; // milliseconds between pictures of a track that grows

export class Wave extends EventTarget {
  #surfer;
  #regions = Regions.create();
  #track = null;
  #timer = 0;

  constructor(container) {
    super();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#surfer = WaveSurfer.create({
      container,
      cspNonce: document.body.dataset.nonce,
      height: 96,
      barWidth: 2,
      barGap: 1,
      barRadius: 1,
      normalize: true,
      barHeight: 0.7, // below the labels
      minPxPerSec: 16,
      autoCenter: !still,
      plugins: [this.#regions],
      ...colours(),
    });
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.#surfer.setOptions(colours());
    this.#surfer.on("interaction", (second) => this.#tell("seek", second));
    this.#regions.on("region-clicked", ({ id }, event) => {
      event.stopPropagation(); // or it would be a jump, too
      this.#tell("turn", id);
    });
  }

  /** Draws a track that grows, now and then. */
  grow(track) {
    if (this.#track !== track) this.#regions.clearRegions();
    this.#track = track;
    this.#timer ||= setTimeout(() => this.#draw(), REDRAW);
  }

  /** Draws a finished track with the places of its turns. */
  async show(track, places) {
    this.#track = track;
    await this.#draw();
    this.#regions.clearRegions();
    for (const { turn, start, end } of places) {
      const region = { id: turn.id, start, end, drag: false, resize: false };
      this.#regions.addRegion({ ...region, color: paint(turn.speaker), content: turn.speaker });
    }
  }

  highlight(id) {
    for (const region of this.#regions.getRegions()) {
      region.element?.part.toggle("current", region.id === id);
    }
  }

  seek(second) {
    this.#surfer.setTime(second);
  }

  async #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    await this.#surfer.load("", [peaks(this.#track)], this.#track.seconds);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function peaks({ samples, rate }) {
  const step = Math.max(1, Math.floor(rate / PEAKS));
  const highest = new Float32Array(Math.ceil(samples.length / step));
  for (let at = 0; at < samples.length; at++) {
    const place = Math.floor(at / step);
    highest[place] = Math.max(highest[place], Math.abs(samples[at]) / 32768);
  }
  return highest;
}

function paint(speaker) {
  return `var(--${speaker.toLowerCase()}-pale)`;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return { waveColor: value("--wave"), progressColor: value("--accent"), cursorColor: value("--accent") };
}

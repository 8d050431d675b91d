// The waveform of a clip from the server's peaks, with its turns as coloured regions and one selection.

import WaveSurfer from "./vendor/wavesurfer.js";
import Regions from "./vendor/regions.js";

const SELECTION = "selection";
const LEAST = 0.1; // seconds of a selection; less is a click

/** Tells `seek` (second), `edge` {index, edge, second}, `turn` (index) and `select` ({start, end} or null); seconds are those of
 * the recording. */
export class Wave extends EventTarget {
  #surfer;
  #regions = Regions.create();
  #origin = 0;
  #drawn = "";
  #showing = false; // regions change because the page says so, not a person

  constructor(container) {
    super();
    this.#surfer = WaveSurfer.create({
      container,
      cspNonce: document.body.dataset.nonce,
      height: 112,
      normalize: true,
      barHeight: 0.8, // below the labels
      cursorWidth: 2,
      hideScrollbar: true,
      plugins: [this.#regions],
      ...colours(),
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#surfer.setOptions(colours()));
    this.#surfer.on("interaction", (second) => this.#tell("seek", this.#origin + second));
    this.#regions.enableDragSelection({ id: SELECTION, color: "var(--selected)", drag: false });
    this.#regions.on("region-created", (region) => this.#created(region));
    this.#regions.on("region-updated", (region, edge) => this.#updated(region, edge));
    this.#regions.on("region-clicked", (region, event) => this.#clicked(region, event));
  }

  /** Draws `peaks` {start, end, peaks: [[lowest, highest], ...]}. */
  async load({ start, end, peaks }) {
    this.#origin = start;
    this.#showing = true;
    this.#regions.clearRegions();
    this.#showing = false;
    this.#drawn = "";
    const side = (at) => Float32Array.from(peaks, (pair) => pair[at]);
    await this.#surfer.load("", [side(1), side(0)], end - start);
  }

  /** Shows the turns: [{start, end, speaker, overlap}], `colour` names the colour of each. */
  show(turns, colour, current) {
    const wanted = JSON.stringify(turns.map(({ start, end, speaker, overlap }) => [start, end, speaker, overlap, colour(speaker)]));
    if (wanted !== this.#drawn) this.#draw(turns, colour);
    this.#drawn = wanted;
    for (const region of this.#regions.getRegions()) region.element?.part.toggle("current", region.id === `turn-${current}`);
  }

  /** Shows a selection {start, end}, or none. */
  select(span) {
    this.#showing = true;
    this.#selections().forEach((region) => region.remove());
    if (span) {
      const place = { start: span.start - this.#origin, end: span.end - this.#origin };
      this.#regions.addRegion({ id: SELECTION, color: "var(--selected)", drag: false, ...place });
    }
    this.#showing = false;
  }

  seek(second) {
    this.#surfer.setTime(second - this.#origin);
  }

  #draw(turns, colour) {
    this.#showing = true;
    this.#regions.getRegions().filter(({ id }) => id !== SELECTION).forEach((region) => region.remove());
    for (const [index, { start, end, speaker, overlap }] of turns.entries()) {
      const paint = overlap ? "var(--unusable)" : `var(--${colour(speaker)}-pale)`;
      const place = { start: start - this.#origin, end: end - this.#origin };
      this.#regions.addRegion({ id: `turn-${index}`, ...place, drag: false, resize: true, color: paint, content: speaker });
    }
    this.#showing = false;
  }

  #selections() {
    return this.#regions.getRegions().filter(({ id }) => id === SELECTION);
  }

  #created(region) {
    if (this.#showing || region.id !== SELECTION) return;
    const span = { start: this.#origin + region.start, end: this.#origin + region.end };
    this.#tell("select", span.end - span.start < LEAST ? null : span);
  }

  #updated(region, edge) {
    if (this.#showing) return;
    if (region.id === SELECTION) this.#created(region);
    else if (edge) this.#tell("edge", { index: numberOf(region), edge, second: this.#origin + region[edge] });
    this.#drawn = ""; // what the turn may not do is drawn back
  }

  #clicked(region, event) {
    if (region.id === SELECTION) {
      event.stopPropagation();
      this.#tell("select", { start: this.#origin + region.start, end: this.#origin + region.end });
      return;
    }
    this.#tell("turn", numberOf(region)); // and the click goes on to be a jump
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function numberOf({ id }) {
  return Number(id.slice("turn-".length));
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return { waveColor: value("--wave"), progressColor: value("--accent"), cursorColor: value("--ink") };
}

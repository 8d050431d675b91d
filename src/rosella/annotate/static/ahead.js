// Clips with their sound and peaks: the next one is here before it is asked for, and the last ones stay for going back.

import { clip, next, peaks, sound } from "./server.js";

const REMEMBERED = 8; // clips whose sound is kept in memory

/** What is loaded: {view, url, peaks}. */
export class Ahead {
  #loaded = new Map();
  #coming = null; // the promise of the next one

  /** The clip of an id, as the server has it now; its sound is not fetched twice. */
  async open(id) {
    return this.#load(await clip(id));
  }

  /** What is here of a clip, or undefined. */
  here(id) {
    return this.#loaded.get(id);
  }

  /** A newer view of a clip that is here. */
  async renew(view) {
    return this.#load(view);
  }

  /** The next clip: at once where it was fetched; null where nothing is left. */
  async next(after) {
    const coming = this.#coming ?? this.#fetch(after);
    this.#coming = null;
    const found = await coming;
    return found?.view.id === after ? null : found;
  }

  /** Fetches the one after this, while this one is heard. */
  prepare(after) {
    const coming = this.#fetch(after);
    this.#coming = coming;
    coming.catch(() => this.#coming === coming && (this.#coming = null)); // asked for again when it is wanted
  }

  /** What was fetched holds what has changed since. */
  forget(id = null) {
    if (id === null) this.#coming = null;
    const old = this.#loaded.get(id);
    if (old) URL.revokeObjectURL(old.url);
    this.#loaded.delete(id);
  }

  async #fetch(after) {
    const view = await next(after);
    return view && this.#load(view);
  }

  async #load(view) {
    const old = this.#loaded.get(view.id);
    const again = old?.view.audio.start === view.audio.start && old.view.audio.end === view.audio.end;
    const [url, heights] = again
      ? [old.url, old.peaks]
      : await Promise.all([sound(view.audio.url).then((blob) => URL.createObjectURL(blob)), peaks(view.audio.peaks_url)]);
    this.#loaded.delete(view.id);
    const loaded = { view, url, peaks: heights };
    this.#loaded.set(view.id, loaded);
    for (const id of [...this.#loaded.keys()].slice(0, -REMEMBERED)) this.forget(id);
    return loaded;
  }
}

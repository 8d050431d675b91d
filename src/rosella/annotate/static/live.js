// What the server says of the open clip while it is open: faults of its texts, words to correct, and others at work on it.

import { check, listen, suggestions } from "./server.js";

const STILL = 300; // milliseconds without a key before texts are checked
const AGAIN = 5000; // until a broken stream is opened anew

/** Tells `changed` {clip, version, author}, `people` {clip, people}, `faults` {turns, faults}, `offers` {clip, offers}, `lost`. */
export class Live extends EventTarget {
  #stream = null;
  #clip = null;
  #timer = 0;
  #retry = 0;
  #checked = "";

  follow(clip) {
    this.leave();
    this.#clip = clip;
    this.#listen();
    suggestions(clip).then((offers) => this.#clip === clip && this.#tell("offers", { clip, offers }), () => {}); // a help, no more
  }

  leave() {
    this.#stream?.close();
    clearTimeout(this.#retry);
    clearTimeout(this.#timer);
    this.#checked = "";
    this.#clip = this.#stream = null;
  }

  /** Checks the texts when no key was pressed for a while. */
  check(turns) {
    const text = JSON.stringify(turns);
    if (text === this.#checked) return;
    this.#checked = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const { faults } = await check(turns).catch(() => ({ faults: [] })); // the save will tell
      if (text === this.#checked) this.#tell("faults", { turns, faults });
    }, STILL);
  }

  #listen() {
    const [clip, stream] = [this.#clip, listen(this.#clip)];
    this.#stream = stream;
    let broken = false;
    for (const name of ["changed", "people"]) {
      stream.addEventListener(name, ({ data }) => this.#tell(name, JSON.parse(data)));
    }
    stream.onopen = () => {
      if (broken) this.#tell("lost", { clip }); // what was told meanwhile
      broken = false;
    };
    stream.onerror = () => {
      broken = true;
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again
      this.#retry = setTimeout(() => {
        if (this.#clip !== clip) return;
        this.#listen();
        this.#tell("lost", { clip });
      }, AGAIN);
    };
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

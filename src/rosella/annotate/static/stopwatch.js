// How long a person works on a clip: pauses longer than some seconds without a key or a sound do not count.

const IDLE = 15_000; // milliseconds

export class Stopwatch {
  #spent = 0;
  #last = performance.now();

  start() {
    this.#spent = 0;
    this.#last = performance.now();
  }

  /** Something was done or heard. */
  touch() {
    const now = performance.now();
    this.#spent += Math.min(now - this.#last, IDLE);
    this.#last = now;
  }

  get seconds() {
    this.touch();
    return Math.round(this.#spent) / 1000;
  }
}

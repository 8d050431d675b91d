// Plays the sound of a clip, whole or an excerpt, once or again and again; seconds are those of the recording.

export const SPEEDS = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2];
const REACTION = 0.5; // seconds from the middle of a word until whoever hears it has pressed a key
const PATIENCE = 200; // ms in which sound that is in memory comes

/** Tells `position` while it plays and `change` when it begins or ends. */
export class Player extends EventTarget {
  #audio = new Audio();
  #origin = 0; // the second of the recording at which the sound begins
  #from = null; // where an excerpt begins and ends
  #until = null;
  #begun = 0; // the second from which on it was heard
  #frame = 0;
  loop = false;

  constructor() {
    super();
    this.#audio.preservesPitch = true;
    for (const name of ["play", "pause", "ended", "ratechange"]) this.#audio.addEventListener(name, () => this.#changed());
    this.#audio.addEventListener("timeupdate", () => this.#look()); // comes in hidden tabs, too
    this.#audio.addEventListener("waiting", () => this.#wake(this.#audio.currentTime));
    this.#audio.addEventListener("ended", () => this.loop && this.#from !== null && this.#again());
  }

  load(url, origin) {
    this.pause();
    const speed = this.speed;
    this.#audio.src = url;
    this.#audio.defaultPlaybackRate = this.#audio.playbackRate = speed;
    this.#origin = origin;
    this.#from = this.#until = null;
    this.loop = false;
  }

  /** Plays on from a second, or on from where it stands; the promise is false where the browser wants a key first. */
  play(from = null) {
    if (from !== null) this.position = from;
    else if (this.#until === null && this.#audio.ended) this.position = this.#origin;
    return this.#begin();
  }

  /** Plays from one second to another. */
  excerpt(from, until, { loop = false } = {}) {
    [this.#from, this.#until, this.loop] = [from, until, loop];
    this.#audio.currentTime = Math.max(0, from - this.#origin);
    return this.#begin();
  }

  /** Plays on past the end of an excerpt. */
  free() {
    this.#from = this.#until = null;
    this.loop = false;
    this.#changed();
  }

  pause() {
    this.#audio.pause();
  }

  get playing() {
    return !this.#audio.paused;
  }

  get position() {
    return this.#origin + this.#audio.currentTime;
  }

  set position(second) {
    this.free();
    this.#stand(second);
  }

  /** Pauses at a second; an excerpt goes on from there. */
  stop(second) {
    this.pause();
    this.#stand(second);
  }

  /** Whether anything was heard since the position was chosen. */
  get hasPlayed() {
    return this.position - this.#begun > 0.01;
  }

  /** The second that a key is about which is pressed now. */
  get heard() {
    return Math.max(this.#begun, this.position - REACTION * this.speed);
  }

  get speed() {
    return this.#audio.playbackRate;
  }

  set speed(value) {
    this.#audio.defaultPlaybackRate = this.#audio.playbackRate = value;
  }

  /** One step slower (-1) or faster (1). */
  step(by) {
    const at = SPEEDS.findIndex((speed) => speed >= this.speed - 0.001);
    this.speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at + by))];
  }

  #stand(second) {
    this.#audio.currentTime = Math.max(0, second - this.#origin);
    this.#begun = this.position;
    this.dispatchEvent(new Event("position"));
  }

  async #begin() {
    this.#begun = this.position;
    try {
      await this.#audio.play();
      return true;
    } catch (error) {
      return error.name !== "NotAllowedError"; // else it was paused or replaced before it began
    }
  }

  #watch() {
    this.#look();
    if (this.playing) this.#frame = requestAnimationFrame(() => this.#watch());
  }

  #look() {
    if (this.#until !== null && this.playing && this.position >= this.#until) this.loop ? this.#again() : this.#finish();
    this.dispatchEvent(new Event("position"));
  }

  /** After several seeks at once Chromium may wait for ever for sound that is all there; one more seek ends that. */
  #wake(stands) {
    const stuck = () => this.playing && this.#audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && this.#audio.currentTime === stands;
    setTimeout(() => stuck() && (this.#audio.currentTime = stands), PATIENCE);
  }

  #again() {
    this.#audio.currentTime = Math.max(0, this.#from - this.#origin);
    this.#begin();
  }

  /** An excerpt that was heard leaves the position at its end, and what is played next goes on from there. */
  #finish() {
    this.#audio.pause();
    this.#from = this.#until = null;
  }

  #changed() {
    cancelAnimationFrame(this.#frame);
    if (this.playing) this.#watch();
    this.dispatchEvent(new Event("change"));
  }
}

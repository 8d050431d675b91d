// Plays a track sample after sample without gaps, also while it still grows.

const LEAD = 0.25; // seconds from a piece's arrival to its sound, so that the next one is in time
const LONGEST_LEAD = 4; // it doubles each time that the sound runs dry

export class Player extends EventTarget {
  #context = null;
  #nodes = new Set();
  #track = null;
  #origin = 0; // the context's time at which sample 0 sounds, or would have
  #next = 0; // the first sample that has no time yet
  #end = Infinity; // the sample to end before
  #growing = false;
  #lead = LEAD;
  #frame = 0;

  /** To be called in answer to a key or a click: browsers let no other code begin a sound. */
  unlock(rate = this.#context?.sampleRate) {
    if (!this.#context || this.#context.sampleRate !== rate) this.#open(rate);
    this.#context.resume().then(() => this.#changed());
  }

  /** Plays from one second to another; a `growing` track is played on as far as it comes, until `complete`. */
  play(track, { from = 0, until = Infinity, growing = false } = {}) {
    this.unlock(track.rate);
    this.#silence();
    this.#track = track;
    this.#next = Math.round(from * track.rate);
    this.#lead = LEAD;
    this.#origin = this.#context.currentTime + LEAD - from;
    this.#end = Math.round(until * track.rate);
    this.#growing = growing;
    this.more();
    this.#changed();
    this.#watch();
  }

  /** The track has grown. */
  more() {
    const end = Math.min(this.#end, this.#track.length);
    if (this.#next >= end) return;
    const { currentTime } = this.#context;
    const due = this.#origin + this.#next / this.#track.rate;
    if (due < currentTime) {
      this.#lead = Math.min(2 * this.#lead, LONGEST_LEAD);
      this.#origin += currentTime + this.#lead - due;
    }
    this.#schedule(this.#track.samples.subarray(this.#next, end));
    this.#next = end;
  }

  /** The track grows no more. */
  complete() {
    this.#growing = false;
  }

  pause() {
    this.#context?.suspend().then(() => this.#changed());
  }

  resume() {
    this.#context.resume().then(() => this.#changed());
  }

  stop() {
    if (!this.#track) return;
    this.#silence();
    this.#track = null;
    this.#changed();
  }

  /** Whether something is being played or paused. */
  get active() {
    return this.#track !== null;
  }

  get playing() {
    return this.active && this.#context.state === "running";
  }

  get track() {
    return this.#track;
  }

  /** The second of the track that is heard now. */
  get position() {
    const now = this.#context.currentTime - this.#origin;
    return Math.max(0, Math.min(now, this.#next / this.#track.rate));
  }

  #open(rate) {
    this.#context?.close();
    this.#context = new AudioContext(rate ? { sampleRate: rate } : {});
  }

  #schedule(samples) {
    const { rate } = this.#track;
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    const sound = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at++) sound[at] = samples[at] / 32768;
    const node = new AudioBufferSourceNode(this.#context, { buffer });
    node.connect(this.#context.destination);
    node.onended = () => this.#nodes.delete(node);
    node.start(this.#origin + this.#next / rate);
    this.#nodes.add(node);
  }

  #silence() {
    cancelAnimationFrame(this.#frame);
    for (const node of this.#nodes) node.stop();
    this.#nodes.clear();
  }

  /** Tells of the position with each picture, and ends when the end was heard. */
  #watch() {
    this.dispatchEvent(new Event("position"));
    const heard = Math.round(this.position * this.#track.rate);
    const end = this.#growing ? this.#end : Math.min(this.#end, this.#track.length);
    if (heard >= end) this.stop();
    else this.#frame = requestAnimationFrame(() => this.#watch());
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

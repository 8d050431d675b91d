// Speech as a growing row of 16-bit samples, read from a WAV stream and written as a WAV file.

const FADE = 0.003; // seconds in which sound falls and rises where two takes meet

export class Track {
  #kept;

  /** `header` is what the stream began with, in which the server says that a model made this. */
  constructor(header, rate, samples = new Int16Array(0)) {
    this.header = header;
    this.rate = rate;
    this.length = samples.length;
    this.#kept = samples;
  }

  get seconds() {
    return this.length / this.rate;
  }

  get samples() {
    return this.#kept.subarray(0, this.length);
  }

  append(samples) {
    const length = this.length + samples.length;
    if (length > this.#kept.length) {
      const longer = new Int16Array(2 * length);
      longer.set(this.samples);
      this.#kept = longer;
    }
    this.#kept.set(samples, this.length);
    this.length = length;
  }

  /** A track in which `samples` stand in place of those from `start` to `end`. */
  replaced(start, end, samples) {
    const parts = [this.samples.slice(0, start), samples.slice(), this.samples.slice(end)];
    const count = Math.round(this.rate * FADE);
    fadeOut(parts[0], count);
    fadeIn(parts[1], count);
    fadeOut(parts[1], count);
    fadeIn(parts[2], count);
    const track = new Track(this.header, this.rate);
    for (const part of parts) track.append(part);
    return track;
  }

  /** A WAV file: the stream's header, now with the sizes that it could not know. */
  file() {
    const header = this.header.slice();
    const sizes = new DataView(header.buffer);
    sizes.setUint32(4, header.length - 8 + 2 * this.length, true);
    sizes.setUint32(header.length - 4, 2 * this.length, true);
    return new Blob([header, this.samples], { type: "audio/wav" });
  }
}

/** Takes the bytes of a WAV stream as they come; `track` is there once its header is. */
export class WavReader {
  #rest = new Uint8Array(0);
  track = null;

  push(bytes) {
    let all = joined(this.#rest, bytes);
    if (!this.track) {
      const start = dataStart(all);
      if (start !== null) this.track = new Track(all.slice(0, start), rateOf(all));
      all = all.slice(start ?? 0);
    }
    const whole = this.track ? all.length - (all.length % 2) : 0;
    this.#rest = all.slice(whole);
    if (whole) this.track.append(new Int16Array(all.buffer.slice(0, whole)));
  }
}

function dataStart(bytes) {
  for (let at = 12; at + 8 <= bytes.length; ) {
    if (name(bytes, at) === "data") return at + 8;
    const size = new DataView(bytes.buffer).getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  return null;
}

function rateOf(bytes) {
  const at = name(bytes, 12) === "fmt " ? 24 : bytes.length;
  return new DataView(bytes.buffer).getUint32(at, true);
}

function name(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function fadeIn(samples, count) {
  for (let at = 0; at < Math.min(count, samples.length); at++) samples[at] *= at / count;
}

function fadeOut(samples, count) {
  const last = samples.length - 1;
  for (let at = 0; at <= Math.min(count - 1, last); at++) samples[last - at] *= at / count;
}

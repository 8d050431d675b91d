// Sends what was saved, in its order, until the server has it: what waits is kept in the browser, and outlives the tab.

import * as kept from "./kept.js";
import { send } from "./server.js";

const FIRST_WAIT = 1; // seconds until the first retry; doubles each time
const LONGEST_WAIT = 30;

/** Tells `sent` {entry, answer}, `conflict` {entry}, `refused` {entry, fault}, `gone` {entry}, `stranger` and `change`. */
export class Outbox extends EventTarget {
  #person = null;
  #busy = false;
  #again = false;
  #wait = FIRST_WAIT;
  #timer = 0;
  #due = 0; // when it is tried again, in milliseconds

  /** Whose work is sent; null: nobody is logged in, so everything waits. */
  set person(name) {
    this.#person = name;
    this.flush();
  }

  /** Puts a save into the queue: {clip, recording, method, path, body, base, ...}; it is sent at once if that is possible. */
  add(entry) {
    kept.enqueue({ ...entry, person: this.#person, key: newKey() });
    this.flush();
  }

  /** What waits of this person. */
  get waiting() {
    return kept.queue().map(([, entry]) => entry).filter((entry) => entry.person === this.#person && !entry.current);
  }

  /** What clashes with what somebody else saved, and waits for a decision. */
  get conflicts() {
    return kept.queue().map(([, entry]) => entry).filter((entry) => entry.person === this.#person && entry.current);
  }

  get strangers() {
    return new Set(kept.queue().map(([, entry]) => entry.person).filter((person) => person !== this.#person));
  }

  /** Seconds until the next try, or null while nothing was refused. */
  get retry() {
    return this.#due ? Math.max(0, Math.ceil((this.#due - Date.now()) / 1000)) : null;
  }

  get busy() {
    return this.#busy;
  }

  /** The last save of a clip that has not arrived yet. */
  last(clip) {
    return this.waiting.findLast((entry) => entry.clip === clip) ?? null;
  }

  /** What became of a conflict; all that waited for the same clip goes with it. */
  settle(clip, merged = null) {
    for (const [place, entry] of kept.queue()) if (entry.clip === clip && entry.person === this.#person) kept.unqueue(place);
    if (merged) this.add(merged);
    this.#tell("change");
  }

  /** Sends now, whatever the time of the next try. */
  async flush() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#due = 0;
    this.#busy = true;
    this.#tell("change");
    const fault = this.#person === null ? null : await this.#exclusively(() => this.#sendAll());
    this.#busy = false;
    if (fault) this.#later(fault);
    else this.#wait = FIRST_WAIT;
    this.#tell("change");
    if (this.#again) {
      this.#again = false;
      if (!fault) this.flush();
    }
  }

  /** One tab at a time, where the browser can tell them apart; keys make a save count once anyway. */
  #exclusively(work) {
    return navigator.locks ? navigator.locks.request("rosella.outbox", work) : work();
  }

  /** Sends what can be sent; returns the fault to wait for, or null. */
  async #sendAll() {
    const held = new Set();
    let waits = null;
    for (const [place, entry] of kept.queue()) {
      if (entry.person !== this.#person) continue;
      if (entry.current || held.has(entry.clip)) {
        held.add(entry.clip);
        continue;
      }
      const fault = await this.#deliver(place, entry);
      if (!fault) continue;
      if (fault.status === 401) {
        this.#tell("stranger");
        return null;
      }
      held.add(entry.clip); // what follows on it would arrive before it
      if (fault.again) waits = fault;
      if (fault.again && fault.status === 0) break; // nothing else would arrive either
    }
    return waits;
  }

  async #deliver(place, entry) {
    try {
      const answer = await send(entry);
      kept.unqueue(place);
      this.#follow(entry, answer);
      this.#tell("sent", { entry, answer });
      return null;
    } catch (fault) {
      if (fault.status === undefined) throw fault; // a mistake of the page, not of the network
      if (!fault.again && fault.status !== 401) this.#refuse(place, entry, fault);
      return fault;
    }
  }

  /** Saves of the same clip that wait were made on the version that this one was to have. */
  #follow(entry, answer) {
    const grown = answer?.version - entry.body?.version - 1;
    if (!grown || entry.method !== "PUT") return;
    for (const [place, later] of kept.queue()) {
      if (later.clip !== entry.clip || later.method !== "PUT") continue;
      kept.change(place, { ...later, body: { ...later.body, version: later.body.version + grown } });
    }
  }

  #refuse(place, entry, fault) {
    if (fault.status === 409 && fault.current && entry.method === "PUT") {
      kept.change(place, { ...entry, current: fault.current });
      this.#tell("conflict", { entry });
      return;
    }
    kept.unqueue(place);
    const gone = fault.status === 404 || fault.status === 410;
    this.#tell(gone ? "gone" : "refused", { entry, fault });
  }

  #later(fault) {
    const wait = Math.max(this.#wait, fault.wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    this.#due = Date.now() + wait * 1000;
    this.#timer = setTimeout(() => this.flush(), wait * 1000);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function newKey() {
  const [high, low] = crypto.getRandomValues(new BigUint64Array(2)); // randomUUID exists on https pages alone
  return high.toString(16).padStart(16, "0") + low.toString(16).padStart(16, "0");
}

// A clip that is being corrected: what the server has, what was edited since, and the way back.

import { draftSteps } from "./difference.js";
import * as kept from "./kept.js";
import { emptied, plain, same, wordless } from "./turns.js";

const PAUSE = 1500; // milliseconds after which typing on is a step of its own

/** Tells `change` when its state changes. */
export class Clip extends EventTarget {
  emptied = false; // whether turns were offered without their words: one that has none is then one that nobody has written yet
  #person;
  #past = [];
  #future = [];
  #step = "";
  #at = 0;

  /** `waiting` is the last save of it that has not arrived yet. */
  constructor(view, person, waiting = null) {
    super();
    this.#person = person;
    this.view = view;
    this.version = waiting ? waiting.body.version + 1 : view.version; // what the next save is made on
    this.base = waiting ? waiting.body.state : plain(view.state); // what was saved last
    this.#begin();
  }

  get id() {
    return this.view.id;
  }

  /** Whether a person wrote something that is not saved. */
  get edited() {
    return !same(this.state, this.base) && !same(this.state, this.untouched);
  }

  /** What the model wrote for a turn, as far as it can be told. */
  drafted(index) {
    const { draft } = this.view;
    const { turns } = this.state;
    if (draft.turns.length === turns.length) {
      const { text, text_clean } = draft.turns[index];
      return { text, text_clean };
    }
    const steps = draftSteps(draft.turns, turns)[index].filter(({ kind }) => kind !== "new");
    return { text: steps.map(({ word, was }) => was ?? word).join(" "), text_clean: null };
  }

  /** The state, in which turns that nobody has written yet have what the model wrote. */
  get filled() {
    if (!this.emptied || !this.state.turns.some(wordless)) return this.state;
    const turns = this.state.turns.map((turn, index) => (wordless(turn) ? { ...turn, ...this.drafted(index) } : turn));
    return { ...this.state, turns };
  }

  /** Takes up unsaved edits of an earlier visit; false when they were made on another version. */
  resume(draft) {
    this.emptied ||= draft.emptied === true;
    if (draft.version !== this.version) return false;
    if (!same(this.state, draft.state)) this.#past.push(this.state);
    this.state = draft.state;
    this.#changed();
    return true;
  }

  /** Changes the state; edits with one `step` name that follow each other quickly are undone at once. */
  edit(state, step = "") {
    if (same(state, this.state)) return;
    const goesOn = step && step === this.#step && Date.now() - this.#at < PAUSE;
    if (!goesOn) this.#past.push(this.state);
    this.#future = [];
    [this.#step, this.#at] = [step, Date.now()];
    this.#put(state);
  }

  /** One step back; false when there is none. */
  undo() {
    return this.#travel(this.#past, this.#future);
  }

  redo() {
    return this.#travel(this.#future, this.#past);
  }

  /** What is to be sent, and from now on counts as saved. */
  save(action, seconds) {
    const state = plain(this.state);
    const entry = {
      clip: this.id,
      recording: this.view.recording,
      title: this.view.title,
      method: "PUT",
      path: `/api/clips/${encodeURIComponent(this.id)}`,
      body: { version: this.version, state, action, seconds },
      base: this.base,
    };
    this.base = this.state = this.untouched = state;
    this.version += 1;
    this.#step = "";
    kept.forgetDraft(this.id);
    this.#changed();
    return entry;
  }

  /** The server's newest view. What was edited meanwhile stays: it goes on from there. */
  adopt(view) {
    const { edited } = this;
    this.view = view;
    this.version = view.version;
    this.base = plain(view.state);
    if (edited) this.#keep();
    else this.#begin();
    this.#changed();
  }

  /** As `adopt`, but with a state of the person's own that is made of both. */
  merge(view, state) {
    this.#past.push(this.state);
    this.#future = [];
    this.view = view;
    this.version = view.version;
    this.base = plain(view.state);
    this.#put(state);
  }

  /** A state that was made of two versions, and is on its way to the server. */
  settle(view, state) {
    this.merge(view, plain(state));
    this.base = this.untouched = this.state;
    this.version += 1;
    kept.forgetDraft(this.id);
    this.#changed();
  }

  /** A speaker has another name in all that can come back. */
  rename(change) {
    for (const name of ["base", "state", "untouched"]) this[name] = change(this[name]);
    this.#past = this.#past.map(change);
    this.#future = this.#future.map(change);
    if (this.edited) this.#keep();
    this.#changed();
  }

  /** As it is offered: with empty boxes where writing anew is quicker. */
  #begin() {
    const empty = this.view.empty && this.version === 0;
    this.emptied ||= empty;
    this.state = this.untouched = empty ? emptied(this.base) : this.base;
  }

  #travel(from, to) {
    if (!from.length) return false;
    to.push(this.state);
    this.#step = "";
    this.#put(from.pop());
    return true;
  }

  #put(state) {
    this.state = state;
    if (this.edited) this.#keep();
    else kept.forgetDraft(this.id);
    this.#changed();
  }

  #keep() {
    const { id, version, base, state, emptied } = this;
    kept.keepDraft({ clip: id, person: this.#person, version, base, state, emptied, at: Date.now() });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** {undo, redo}: the numbers of the saved corrections that can be taken back and brought back, or undefined. `undid` tells what
 * an undo took back; one that it does not know took back the newest. */
export function standing(history, undid) {
  const [done, gone] = [[], []];
  for (const { number, action } of [...history].sort((a, b) => a.number - b.number)) {
    if (action !== "undo") {
      done.push(number);
      gone.length = 0;
    } else if (gone.length && undid.get(number) === gone.at(-1)) {
      gone.pop();
      done.push(number);
    } else {
      done.pop();
      gone.push(number);
    }
  }
  return { undo: done.at(-1), redo: gone.at(-1) };
}

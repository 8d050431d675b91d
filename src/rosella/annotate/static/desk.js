// The desk: the clip that is being corrected, with its sound, its turns and what is known of it.

import { Ahead } from "./ahead.js";
import { Clip } from "./clip.js";
import { disfluent, follow } from "./difference.js";
import { Facts } from "./facts.js";
import * as kept from "./kept.js";
import { Live } from "./live.js";
import { Meeting } from "./meeting.js";
import { Player } from "./player.js";
import * as server from "./server.js";
import { clock, dismiss, notice, say } from "./status.js";
import { Stopwatch } from "./stopwatch.js";
import { Transcript } from "./transcript.js";
import { moveEdge, plain, withTurn } from "./turns.js";
import { Wave } from "./wave.js";

const $ = (selector) => document.querySelector(selector);
const COLOURS = 6;
const AROUND = 0.5; // seconds that are heard on each side of a boundary that was moved
const SETTLED = 200; // milliseconds after the last move
const ASK_AGAIN = 3000; // milliseconds until the next clip is asked for again

/** Tells `fault` (a Fault) where the page must see to it, and `change`. */
export class Desk extends EventTarget {
  clip = null;
  player = new Player();
  transcript = new Transcript($("#turns"), $("#turn"));
  selection = null;
  sound = null; // the peaks of what is heard
  faults = [];
  offers = [];
  showsDraft = true;
  warnedOf = null; // the state of which a person was told that something is wrong
  #wave = null;
  #ahead = new Ahead();
  #live = new Live();
  #facts = new Facts();
  #watch = new Stopwatch();
  #before = []; // clips to go back to
  #timer = 0;
  #retry = 0;

  constructor(me, outbox) {
    super();
    Object.assign(this, { me, outbox, meeting: new Meeting(this) });
    this.player.speed = kept.speed();
    this.#listen();
  }

  /** Begins with a clip that was asked for, one with unsaved edits, or the next of the queue. */
  async begin(id) {
    const draft = kept.keptDrafts(this.me.name)[0];
    if (id || draft) await this.open(id || draft.clip);
    if (!this.clip) await this.next();
  }

  async next() {
    clearTimeout(this.#retry);
    const from = this.clip;
    this.player.pause();
    try {
      const loaded = await this.#ahead.next(from?.id);
      if (this.clip !== from) return; // gone elsewhere meanwhile
      if (from) this.#before.push(from.id);
      if (loaded) await this.#show(loaded);
      else this.#rest();
    } catch (fault) {
      this.#wait(fault, () => this.clip === from && this.next());
    }
  }

  /** Opens a clip by its id; without a connection only where it is still here. */
  async open(id) {
    try {
      const loaded = await this.#ahead.open(id).catch((fault) => {
        const here = this.#ahead.here(id);
        if (fault.again && here) return here;
        throw fault;
      });
      if (this.clip && this.clip.id !== id) this.#before.push(this.clip.id);
      await this.#show(loaded);
    } catch (fault) {
      if (fault.status === 404 || fault.status === 410) this.forget(id);
      this.#wait(fault, () => this.open(id));
    }
  }

  back() {
    const id = this.#before.pop() ?? kept.visited().find(({ id: seen }) => seen !== this.clip?.id)?.id;
    if (!id) return say("There is no clip before this one.");
    const forward = this.clip;
    return this.open(id).then(() => forward && this.clip !== forward && this.#before.splice(-1, 1));
  }

  /** A clip that is no longer there leaves nothing in the browser. */
  forget(id) {
    kept.forgetDraft(id);
    kept.unvisit(id);
    this.#ahead.forget(id);
    this.#before = this.#before.filter((other) => other !== id);
    if (this.clip?.id === id) this.next();
  }

  // Editing

  /** Changes the state by `change(state, index of the current turn)`. */
  edit(change, step) {
    if (!this.clip) return;
    this.clip.edit(change(this.clip.state, this.transcript.current), step);
  }

  write({ index, field, value }) {
    const turn = this.clip.state.turns[index];
    const clean = field === "text" && turn.text_clean !== null
      ? follow(turn.text, value, turn.text_clean, disfluent(this.fillers))
      : turn.text_clean;
    const changes = field === "text" ? { text: value, text_clean: clean } : { text_clean: value || null };
    this.clip.edit(withTurn(this.clip.state, index, changes), `${index}.${field}.${value.split(" ").length}`);
  }

  move(index, edge, second) {
    const { limits } = this.clip.view;
    this.clip.edit(moveEdge(this.clip.state, index, edge, second, limits), `${index}.${edge}`);
    const heard = this.clip.state.turns[index][edge];
    this.render();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.player.excerpt(heard - AROUND, heard + AROUND), SETTLED);
  }

  /** Sends the clip; `changes` are those of the judgement. Only who accepts it says that a turn without words has none. */
  save(action, changes = {}) {
    const state = action === "accept" ? this.clip.state : this.clip.filled;
    this.showsDraft ||= state !== this.clip.state;
    this.clip.edit({ ...state, ...changes });
    this.outbox.add(this.clip.save(action, this.#watch.seconds));
    this.#watch.start();
    kept.markDone(this.clip.id, { accept: "accepted", reject: "rejected", second: "second opinion asked" }[action] ?? "saved");
  }

  // Showing

  async #show({ view: fetched, url, peaks }) {
    clearTimeout(this.#timer); // of a boundary that was moved in the clip before
    const view = this.meeting.latest(fetched);
    const waiting = this.outbox.last(view.id);
    const draft = kept.keptDraft(view.id, this.me.name);
    this.clip = new Clip(view, this.me.name, waiting?.method === "PUT" ? waiting : null);
    Object.assign(this, { sound: peaks, selection: null, faults: [], offers: [], showsDraft: !this.clip.emptied });
    this.meeting.clash = null;
    for (const name of ["changed", "refused"]) dismiss(name);
    this.clip.addEventListener("change", () => this.render());
    this.#watch.start();
    kept.visit({ id: view.id, title: view.title, start: view.state.start });
    history.replaceState(null, "", `#clip/${encodeURIComponent(view.id)}`);
    $("#clip").hidden = $("#about").hidden = false;
    $("#nothing").hidden = true;
    this.player.load(url, view.audio.start);
    this.#wave ??= this.#newWave();
    this.render();
    this.transcript.focus(0, { caret: 0 });
    if (draft) this.#resume(draft);
    if (this.outbox.conflicts.some(({ clip }) => clip === view.id)) this.meeting.merge();
    this.#live.follow(view.id);
    this.#ahead.prepare(view.id);
    const { start, end } = this.clip.state;
    this.player.excerpt(start, end).then((begun) => begun || say("Press Esc to hear it: this browser lets no page begin by itself."));
    await this.#wave.load(peaks);
    this.render();
    server.clip(view.id).then((now) => this.clip?.id === now.id && this.meeting.meet(now), () => {}); // it may have been fetched long before
  }

  #resume(draft) {
    if (this.clip.resume(draft)) return say("Your unsaved edits of this clip are here again.");
    this.clip.edit(draft.state);
    this.meeting.clashes(draft.base, this.clip.view, "Somebody changed this clip after your unsaved edits, which are here again.");
  }

  /** Nothing is left; what others leave, or what is added, comes by itself. */
  #rest() {
    this.#showNothing("Nothing is left in your queue now: thank you! This page looks again every few seconds.");
    this.#retry = setTimeout(() => this.clip === null && this.next(), ASK_AGAIN);
  }

  #showNothing(sentence) {
    this.#live.leave();
    this.clip = null;
    history.replaceState(null, "", "#");
    $("#clip").hidden = $("#about").hidden = true;
    $("#nothing").textContent = sentence;
    $("#nothing").hidden = false;
  }

  render() {
    if (!this.clip) return;
    const { state, view } = this.clip;
    const names = this.names;
    const draft = this.showsDraft ? view.draft.turns : null;
    const order = [...new Set(state.turns.map(({ speaker }) => speaker))];
    this.transcript.show({ turns: state.turns, draft, names, colour: this.colour, tags: (speaker) => `[S${order.indexOf(speaker) + 1}]` });
    this.#wave?.show(state.turns, this.colour, this.transcript.current);
    this.#facts.show(this.clip, names);
    $("#hidden-draft").hidden = this.showsDraft;
    this.showOffers();
    this.#live.check(plain(state).turns);
    if (kept.refused()) notice("kept", "This browser keeps nothing: stay online, and do not close the tab before all is saved.");
    this.dispatchEvent(new Event("change"));
  }

  showOffers() {
    const { turns } = this.clip.state;
    this.offers = this.offers.filter(({ turn, from }) => turns[turn] && places(turns[turn].text, from).length);
    this.transcript.suggest(this.offers, (offer) => this.take(offer));
  }

  /** Puts a suggested word in its place. */
  take({ turn, from, to }) {
    const { text } = this.clip.state.turns[turn];
    const [at] = places(text, from);
    const capital = at === 0 || text[at] !== text[at].toLowerCase();
    const word = capital && from[0] !== text[at] ? to[0].toUpperCase() + to.slice(1) : to;
    this.write({ index: turn, field: "text", value: text.slice(0, at) + word + text.slice(at + from.length) });
  }

  /** Selects a span, and repeats it; null: none. */
  select(span, { play = true } = {}) {
    this.selection = span;
    this.#wave.select(span);
    if (span && play) this.player.excerpt(span.start, span.end, { loop: true });
    else if (!span && this.player.loop) this.player.free();
  }

  get names() {
    const { view, state } = this.clip;
    return [...new Set([...view.speakers, ...state.turns.map(({ speaker }) => speaker)])];
  }

  colour = (speaker) => `s${(this.names.indexOf(speaker) % COLOURS) + 1}`;

  get fillers() {
    return this.me.fillers[this.clip.view.language] ?? [];
  }

  /** A person is at work. */
  touch() {
    this.#watch.touch();
  }

  /** The sound of a newer version of the open clip, which may be longer; the old one does until then. */
  renew(view) {
    this.#ahead.renew(view).catch(() => {});
  }

  /** Nobody looks at the page any more. */
  leave() {
    this.#live.leave();
  }

  #listen() {
    const { transcript, player } = this;
    const on = (target, name, act) => target.addEventListener(name, ({ detail }) => this.clip && act(detail));
    on(transcript, "edit", (edit) => this.write(edit));
    on(transcript, "assign", ({ index, speaker }) => this.edit((state) => withTurn(state, index, { speaker: speaker ?? this.freeName() })));
    on(transcript, "unusable", (index) => this.edit((state) => withTurn(state, index, { overlap: !state.turns[index].overlap })));
    on(transcript, "hear", (index) => this.hear(index));
    on(transcript, "current", () => this.#wave?.show(this.clip.state.turns, this.colour, transcript.current));
    on(player, "position", () => this.#followPosition());
    on(player, "change", () => this.dispatchEvent(new Event("change")));
    on(this.#live, "faults", ({ faults }) => transcript.blame((this.faults = faults)));
    on(this.#live, "offers", ({ offers }) => ((this.offers = offers), this.showOffers()));
    on(this.#live, "people", ({ people }) => this.#facts.showPeople(people.filter((name) => name !== this.me.name)));
    on(this.#live, "lost", () => this.meeting.look());
    on(this.#live, "changed", (told) => this.meeting.heard(told));
  }

  hear(index) {
    const { start, end } = this.clip.state.turns[index];
    this.player.excerpt(start, end, { loop: this.player.loop });
  }

  freeName() {
    for (let number = 1; ; number++) if (!this.names.includes(`S${number}`)) return `S${number}`;
  }

  #newWave() {
    const wave = new Wave($("#wave"));
    const on = (name, act) => wave.addEventListener(name, ({ detail }) => this.clip && act(detail));
    on("seek", (second) => {
      this.select(null);
      this.player.position = second;
    });
    on("turn", (index) => {
      this.transcript.current = index;
      this.render();
    });
    on("edge", ({ index, edge, second }) => this.move(index, edge, second));
    on("select", (span) => this.select(span));
    return wave;
  }

  #followPosition() {
    const second = this.player.position;
    const { start, end, turns } = this.clip.state;
    if (this.player.playing) this.touch();
    this.#wave?.seek(second);
    const index = turns.findIndex((turn) => turn.start <= second && second < turn.end);
    this.transcript.hear(this.player.playing && index >= 0 ? index : null);
    $("#time").textContent = `${clock(Math.max(0, second - start))} / ${clock(end - start)}`;
  }

  /** A fault that passes is waited for; others are told. */
  #wait(fault, again) {
    if (!fault.again) return this.fault(fault, again);
    const sentence = `${fault.message} The next clip comes as soon as the server answers; all your work is kept here.`;
    if (this.clip) say(sentence);
    else this.#showNothing(sentence);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(again, ASK_AGAIN);
  }

  fault(fault, again = () => {}) {
    if (fault.status === undefined) throw fault; // a mistake of the page
    this.dispatchEvent(new CustomEvent("fault", { detail: { fault, again } }));
  }
}

/** Where a word stands in a text, whatever its capitals. */
function places(text, word) {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const found = text.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, "giu"));
  return [...found].map(({ index }) => index);
}

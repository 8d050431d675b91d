// What comes back from the server for the open clip: saves that have arrived, what others made of it, and one version of two.

import { standing } from "./clip.js";
import { compare } from "./comparing.js";
import * as server from "./server.js";
import { dismiss, notice, say } from "./status.js";
import { plain, renameSpeaker, same } from "./turns.js";

export class Meeting {
  #desk;
  #undid = new Map(); // what each undo took back
  #known = new Map(); // the view that each save was answered with
  clash = null; // {base, view}: somebody else changed what is being edited

  constructor(desk) {
    this.#desk = desk;
  }

  /** Takes back ("undo") or brings back ("redo"): first what was edited here, then what was saved. */
  travel(direction) {
    const { clip, outbox } = this.#desk;
    if (clip[direction]()) return;
    if (outbox.last(clip.id)) return say("That is still on its way to the server; it can be undone when it is saved.");
    const number = standing(clip.view.history, this.#undid)[direction];
    if (!number) return say(`There is nothing to ${direction} in this clip; Alt + Backspace goes back to the one before.`);
    outbox.add({ clip: clip.id, undoes: number, method: "POST", path: `/api/corrections/${number}/undo`, body: {} });
  }

  /** A save has arrived. */
  sent({ entry, answer }) {
    const views = answer?.clips?.length ? answer.clips : answer?.id ? [answer] : [];
    for (const view of views) {
      this.#known.set(view.id, view);
      this.#adopt(view, entry);
    }
    if (entry.renames) this.#renamed(entry, answer);
    if (entry.undoesRename) this.look();
  }

  /** A view of a clip, or the newer one that a save was answered with while it was on its way. */
  latest(view) {
    const known = this.#known.get(view.id);
    return known?.version > view.version ? { ...known, audio: view.audio } : view;
  }

  #adopt(view, entry) {
    const { clip, outbox } = this.#desk;
    if (entry.undoes) this.#undid.set(Math.max(...view.history.map(({ number }) => number)), entry.undoes);
    if (clip?.id !== view.id || outbox.last(view.id)) return;
    clip.adopt(view);
    if (entry.undoes) say("Done.");
    this.#desk.renew(view);
  }

  #renamed({ renames: { before, after } }, { number }) {
    notice("renamed", `${before} is now ${after} in the whole recording.`, [{
      label: "Undo",
      act: () => this.#desk.outbox.add({ clip: null, undoesRename: true, method: "POST", path: `/api/corrections/${number}/undo`, body: {} }),
    }]);
    this.look();
  }

  rename({ before, after }) {
    const { recording } = this.#desk.clip.view;
    const path = `/api/recordings/${encodeURIComponent(recording)}/speakers`;
    this.#desk.outbox.add({ clip: null, recording, renames: { before, after }, method: "POST", path, body: { before, after } });
    this.#desk.clip.rename((state) => renameSpeaker(state, before, after));
  }

  /** Looks at the open clip again: others may have changed it. */
  async look() {
    const { clip } = this.#desk;
    if (!clip) return;
    const view = await server.clip(clip.id).catch((fault) => (this.#desk.fault(fault), null));
    if (view && this.#desk.clip === clip) this.meet(view);
  }

  /** A newer view of the open clip: shown where nothing is lost by it, else a clash. */
  meet(view, author = null) {
    const { clip, outbox } = this.#desk;
    const own = outbox.last(view.id);
    if (view.version < clip.version || (own && view.version === clip.version)) return;
    const newer = view.version > clip.version;
    if (newer && (clip.edited || own)) {
      this.clashes(clip.base, view, `${author ?? "Somebody else"} changed this clip just now, while you edit it.`);
      return;
    }
    clip.adopt(view);
    if (newer && author) notice("changed", `${author} changed this clip just now; you see the new version.`);
  }

  /** The open clip has another version beside what is being edited, which was made of `base`. */
  clashes(base, view, sentence) {
    this.clash = { base, view };
    notice("changed", sentence, [{ label: "Compare and merge", key: "Alt + V", act: () => this.merge() }]);
  }

  /** Others have saved a version of a clip. */
  async heard({ clip: id, version, author }) {
    const { clip } = this.#desk;
    if (id !== clip.id || version <= clip.version) return;
    const view = await server.clip(id).catch((fault) => (this.#desk.fault(fault), null));
    if (view && this.#desk.clip === clip) this.meet(view, author);
  }

  /** Makes one of two versions: of the open clip, or of a save that came too late. */
  async merge() {
    if (document.querySelector("dialog[open]")) return;
    const { clip, outbox } = this.#desk;
    const entry = outbox.conflicts.find((each) => each.clip === clip?.id) ?? outbox.conflicts[0];
    if (this.clash) await this.#mergeOpen();
    else if (entry) await this.#mergeSaved(entry);
    else say("There is nothing to merge.");
  }

  async #mergeOpen() {
    const { clip } = this.#desk;
    const { base, view } = this.clash;
    const state = await compare({ base, mine: plain(clip.filled), view });
    if (!state || this.#desk.clip !== clip) return;
    this.clash = null;
    dismiss("changed");
    clip.merge(view, state);
  }

  async #mergeSaved(entry) {
    const { clip, outbox } = this.#desk;
    const view = entry.current;
    const open = clip?.id === entry.clip;
    const last = outbox.last(entry.clip)?.body.state ? outbox.last(entry.clip) : entry;
    const theirs = plain(view.state);
    const state = await compare({ base: entry.base, mine: open ? plain(clip.state) : last.body.state, view });
    if (!state) return;
    dismiss("conflict");
    const { current, key, ...rest } = entry;
    const body = { ...last.body, version: view.version, state: plain(state) };
    const theirsAlone = same(state, theirs);
    outbox.settle(entry.clip, theirsAlone ? null : { ...rest, base: theirs, body });
    if (open && theirsAlone) clip.merge(view, theirs);
    else if (open) clip.settle(view, state);
  }
}

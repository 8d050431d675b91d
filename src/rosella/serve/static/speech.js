// A dialogue as it was said: its sound, and where in it each turn is.

import { edgePauses, turnsOfCues } from "./script.js";

export class Speech {
  /** `turns` are those that were asked for, {id, speaker, text}; each of `cues` says by `turn` which one it is of. */
  constructor({ track, turns, name = null, cues = [] }) {
    this.track = track;
    this.turns = turns;
    this.name = name; // by which the server knows it
    this.cues = cues;
    this.cutOff = false; // before the model ended by itself
  }

  /** Takes the server's closing event; only then is it known where the turns are. */
  finish({ id, cues, stopped }) {
    const turns = turnsOfCues(this.turns, cues);
    this.name = id;
    this.cutOff = !stopped;
    this.cues = cues.map((cue, at) => ({ ...cue, turn: turns[at] }));
  }

  /** Where turns were said: [{turn, start, end}, ...], in seconds. */
  get places() {
    const places = this.turns.map((turn, number) => {
      const cues = this.cues.filter((cue) => cue.turn === number);
      return { turn, start: cues[0]?.start, end: cues.at(-1)?.end };
    });
    return places.filter(({ start }) => start !== undefined);
  }

  place(id) {
    return this.places.find(({ turn }) => turn.id === id);
  }

  /** This speech with another take of one of its turns; `take` is the speech of that turn alone. */
  replaced(take) {
    const [turn] = take.turns;
    const number = this.turns.findIndex(({ id }) => id === turn.id);
    const { start, end } = this.#span(turn.id);
    const { rate } = this.track;
    const cues = [
      ...this.cues.filter((cue) => cue.turn < number),
      ...take.cues.map((cue) => ({ ...moved(cue, start / rate), turn: number })),
      ...this.cues
        .filter((cue) => cue.turn > number)
        .map((cue) => moved(cue, (start + take.track.length - end) / rate)),
    ];
    const track = this.track.replaced(start, end, take.track.samples);
    return new Speech({ track, turns: this.turns.with(number, turn), name: this.name, cues });
  }

  /** The samples of a turn, with the pauses that it begins and ends with. */
  #span(id) {
    const { turn, start, end } = this.place(id);
    const { before, after } = edgePauses(turn.text);
    const sample = (seconds) => Math.max(0, Math.min(Math.round(seconds * this.track.rate), this.track.length));
    return { start: sample(start - before), end: sample(end + after) };
  }
}

function moved(cue, seconds) {
  return { ...cue, start: cue.start + seconds, end: cue.end + seconds };
}

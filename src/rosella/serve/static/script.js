// A dialogue as text and as turns: `[S1] Hello. [S2] Hi!` is [{speaker: "S1", text: "Hello."}, ...].

export const SPEAKERS = ["S1", "S2", "S3", "S4"];
export const LONGEST = 4096; // characters that one request may hold

export const EMPTY = [
  { speaker: "S1", text: "" },
  { speaker: "S2", text: "" },
];
export const EXAMPLE = [
  { speaker: "S1", text: "Goedemorgen! Hoe gaat het met jou?" },
  { speaker: "S2", text: "(laughs) Heel goed, dank je. [pause:500ms] En met jou?" },
];

const TAG = /\[(S[1-4])\]/;
const PAUSE = /\[pause:([0-9]+(?:\.[0-9]+)?)(ms|s)\]/g;
const PAUSES = "(?:\\s*\\[pause:[0-9.]+m?s\\])*\\s*";
const FIRST = new RegExp(`^${PAUSES}`);
const LAST = new RegExp(`${PAUSES}$`);

export function hasTag(text) {
  return TAG.test(text);
}

/** The turns of a text; what stands before the first tag is said by `speaker`. */
export function readScript(text, speaker = "S1") {
  const parts = text.split(TAG);
  const turns = [{ speaker, text: parts[0].trim() }];
  for (let at = 1; at < parts.length; at += 2) {
    turns.push({ speaker: parts[at], text: parts[at + 1].trim() });
  }
  return turns[0].text || turns.length === 1 ? turns : turns.slice(1);
}

export function writeScript(turns) {
  return turns.map(({ speaker, text }) => `[${speaker}] ${text.trim()}`).join("\n");
}

/** Seconds of the pauses that a text begins and ends with: no cue holds them. */
export function edgePauses(text) {
  return { before: seconds(text.match(FIRST)[0]), after: seconds(text.match(LAST)[0]) };
}

/** For each cue the number of the turn that it is of. A long turn has several cues, and a turn may have none. */
export function turnsOfCues(turns, cues) {
  let end = 0;
  const ends = turns.map(({ text }) => (end += letters(text.replace(PAUSE, " "))));
  let said = 0;
  return cues.map(({ text }) => {
    const middle = said + letters(text) / 2;
    said += letters(text);
    const turn = ends.findIndex((each) => middle < each);
    return turn < 0 ? turns.length - 1 : turn;
  });
}

function letters(text) {
  return text.normalize("NFC").replace(/\s/g, "").length;
}

function seconds(pauses) {
  let sum = 0;
  for (const [, number, unit] of pauses.matchAll(PAUSE)) sum += number / (unit === "ms" ? 1000 : 1);
  return sum;
}

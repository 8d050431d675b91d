// Two states that were made of one: what both can have, and where a person must choose.

import { difference, words } from "./difference.js";

const NAMES = { text: "verbatim", text_clean: "clean", speaker: "speaker", overlap: "unusable", times: "times" };
const OF_TURN = Object.keys(NAMES);

/** {merged, clashes: [{place, label, mine, theirs}]}; where they clash, `merged` has mine. */
export function merged(base, mine, theirs) {
  const clashes = [];
  const whole = decide(["span"], "The turns", spanOf(base), spanOf(mine), spanOf(theirs), clashes);
  const lengths = new Set([base, mine, theirs].map(({ turns }) => turns.length));
  const result = { ...whole, ...judged(base, mine, theirs, clashes) };
  if (lengths.size > 1) return { merged: result, clashes };
  clashes.splice(0, clashes.length, ...clashes.filter(({ place }) => place[0] !== "span"));
  const turns = mine.turns.map((_, at) => mergedTurn(at, base.turns[at], mine.turns[at], theirs.turns[at], clashes));
  const edge = (name, pick) => (mine[name] === base[name] ? theirs : mine)[name] ?? pick;
  return { merged: { ...result, turns, start: edge("start"), end: edge("end") }, clashes };
}

/** The merged state with another choice at a clash's place. */
export function chosen(state, place, value) {
  const [part, index, field] = place;
  if (part === "span") return { ...state, ...value };
  if (part === "verdict") return { ...state, ...value };
  if (part === "comment") return { ...state, comment: value };
  const changes = field === "times" ? { start: value[0], end: value[1] } : { [field]: value };
  return { ...state, turns: state.turns.map((turn, at) => (at === index ? { ...turn, ...changes } : turn)) };
}

/** A clash's value in words. */
export function said(value) {
  if (value === null || value === "") return "(nothing)";
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "unusable" : "usable";
  if (Array.isArray(value)) return value.map((second) => second.toFixed(2)).join(" to ") + " s";
  if (value.turns) return value.turns.map(({ speaker, text }) => `${speaker}: ${text}`).join(" / ");
  return [value.verdict ?? "not judged", value.reason].filter(Boolean).join(": ");
}

function spanOf({ start, end, turns }) {
  return { start, end, turns };
}

function judged(base, mine, theirs, clashes) {
  const of = ({ verdict, reason }) => ({ verdict, reason });
  return {
    ...decide(["verdict"], "Judgement", of(base), of(mine), of(theirs), clashes),
    comment: decide(["comment"], "Comment", base.comment, mine.comment, theirs.comment, clashes),
  };
}

function mergedTurn(at, base, mine, theirs, clashes) {
  const field = (turn, name) => (name === "times" ? [turn.start, turn.end] : turn[name]);
  const found = OF_TURN.map((name) => {
    const label = `Turn ${at + 1}, ${NAMES[name]}`;
    return [name, decide(["turns", at, name], label, field(base, name), field(mine, name), field(theirs, name), clashes)];
  });
  const { times: [start, end], ...rest } = Object.fromEntries(found);
  return { start, end, ...rest };
}

/** The one that was changed; both where words apart were changed; else mine, and a clash. */
function decide(place, label, base, mine, theirs, clashes) {
  const told = [base, mine, theirs].map((value) => JSON.stringify(value));
  if (told[1] === told[0] || told[1] === told[2]) return theirs;
  if (told[2] === told[0]) return mine;
  const both = typeof base === "string" && place[0] === "turns" && place[2] !== "speaker" ? woven(base, mine, theirs) : null;
  if (both !== null) return both;
  clashes.push({ place, label, mine, theirs });
  return mine;
}

/** A text with the changes of both, or null where they touch. */
function woven(base, mine, theirs) {
  const old = words(base);
  const changes = [...hunks(old, words(mine ?? "")), ...hunks(old, words(theirs ?? ""))].sort((a, b) => a.from - b.from || a.to - b.to);
  if (changes.some((change, at) => at > 0 && change.from <= changes[at - 1].to)) return null;
  for (const { from, to, words: put } of changes.reverse()) old.splice(from, to - from, ...put);
  return old.join(" ");
}

/** The runs of words that differ: {from, to} in the old words, and what stands there now. */
function hunks(old, now) {
  const found = [];
  let open = null;
  for (const { kind, word, from } of difference(old, now)) {
    if (kind === "same") open = null;
    else {
      if (!open) found.push((open = { from, to: from, words: [] }));
      if (kind === "gone") open.to = from + 1;
      else open.words.push(word);
    }
  }
  return found;
}

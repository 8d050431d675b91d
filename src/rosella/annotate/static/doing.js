// What each key and button does at the desk; the names are those of keys.js.

import { askComment, askName, askReason, chooseClip, choosePiece, showHelp } from "./asking.js";
import { division, spoken } from "./heard.js";
import { keepSpeed, keptDrafts } from "./kept.js";
import { searchAll } from "./searching.js";
import { say } from "./status.js";
import * as turns from "./turns.js";

const COARSE = 0.05; // seconds that a key moves a boundary
const FINE = 0.01;

/** The actions by name, for a desk; `send(path, body)` changes the server at once, `arrived()` waits for what is on its way. */
export function actions(desk, { send, arrived }) {
  const { player, transcript } = desk;
  return {
    ...judging(desk),
    ...listening(desk, player, transcript),
    ...editing(desk, player, transcript),
    palette: () => insert(desk),
    word: () => selectHeard(desk),
    nextWord: () => selectNext(desk),
    rename: async () => {
      const { recording } = desk.clip.view;
      const answer = await askName(recording, current(desk).speaker, ({ message }) => say(message));
      if (answer && answer.before !== answer.after) desk.meeting.rename(answer);
    },
    search: async () => {
      const id = await searchAll(send, arrived);
      if (id) desk.open(id);
      else desk.meeting.look();
    },
    list: async () => {
      const id = await chooseClip(keptDrafts(desk.me.name));
      if (id) desk.open(id);
    },
    help: showHelp,
  };
}

/** Those that need no open clip. */
export const ALWAYS = new Set(["help", "list", "search", "back", "merge"]);

function judging(desk) {
  return {
    accept() {
      const problem = desk.warnedOf === desk.clip.state ? null : unready(desk);
      desk.warnedOf = desk.clip.state;
      if (problem) return say(`${problem} The same key again accepts it anyway.`);
      desk.save("accept", { verdict: "accepted", reason: null });
      return desk.next();
    },
    save() {
      if (!desk.clip.edited) return say("There is nothing to save.");
      const problem = desk.clip.emptied ? unwritten(desk) : null;
      return problem ? say(problem) : desk.save("edit");
    },
    skip: () => desk.next(),
    back: () => desk.back(),
    async reject() {
      const { clip } = desk;
      const reason = await askReason(clip.state.reason);
      if (!reason || desk.clip !== clip) return;
      desk.save("reject", { verdict: "rejected", reason });
      desk.next();
    },
    second() {
      desk.save("second", { verdict: "second", reason: null });
      return desk.next();
    },
    async comment() {
      const { clip } = desk;
      const comment = await askComment(clip.state.comment);
      if (comment === null || desk.clip !== clip) return;
      desk.save("comment", { comment: comment || null });
      say("The comment is saved.");
    },
    undo: () => desk.meeting.travel("undo"),
    redo: () => desk.meeting.travel("redo"),
    merge: () => desk.meeting.merge(),
  };
}

/** Why a clip cannot be accepted, with the caret where it is to be seen to; null where it can. */
function unready(desk) {
  const [fault] = desk.faults;
  if (!fault) return unwritten(desk);
  desk.transcript.focus(fault.turn);
  return fault.message;
}

/** What to do about the first turn without words, with the caret in it; null where there is none. */
function unwritten({ clip, transcript }) {
  const index = clip.state.turns.findIndex(turns.wordless);
  if (index < 0) return null;
  transcript.focus(index);
  const draft = clip.emptied ? ", take what the model wrote (Shift + F4)" : "";
  return `Turn ${index + 1} has no words: write them${draft}, mark it as unusable (Alt + O), or remove it (Alt + Delete).`;
}

function listening(desk, player, transcript) {
  return {
    play() {
      if (player.playing) return player.pause();
      const { start, end } = desk.clip.state;
      return player.position >= end - 0.05 ? player.excerpt(start, end) : player.play();
    },
    turn: () => desk.hear(transcript.current),
    loop() {
      if (player.loop) return player.free();
      const { start, end } = desk.selection ?? current(desk);
      return player.excerpt(start, end, { loop: true });
    },
    rewind: () => (player.position -= 1),
    forward: () => (player.position += 1),
    slower: () => speed(player, -1),
    faster: () => speed(player, 1),
    from: () => desk.select({ start: player.position, end: Math.max(player.position, desk.clip.state.end) }, { play: false }),
    until() {
      const start = desk.selection?.start ?? desk.clip.state.start;
      if (player.position - start < 0.1) return say("The end of a selection comes after its begin (Alt + U).");
      return desk.select({ start, end: player.position });
    },
    down: () => transcript.focus(transcript.current + 1, { caret: 0 }),
    up: () => transcript.focus(transcript.current - 1, { caret: 0 }),
  };
}

function speed(player, step) {
  player.step(step);
  keepSpeed(player.speed);
}

function editing(desk, player, transcript) {
  const edge = (name, by) => () => desk.move(transcript.current, name, current(desk)[name] + by);
  const speaker = (number) => () => {
    const name = desk.names[number - 1];
    if (!name) return say(`There is no speaker ${number}; Alt + 0 makes a new one.`);
    return desk.edit((state, index) => turns.withTurn(state, index, { speaker: name }));
  };
  return {
    split: () => split(desk, division(current(desk), transcript.caret, desk.sound)),
    splitHere: () => splitHere(desk),
    glue: () => desk.edit(turns.glue),
    remove: () => desk.edit(turns.remove),
    unusable: () => desk.edit((state, index) => turns.withTurn(state, index, { overlap: !state.turns[index].overlap })),
    startEarlier: edge("start", -COARSE), startLater: edge("start", COARSE),
    endEarlier: edge("end", -COARSE), endLater: edge("end", COARSE),
    startEarlierFine: edge("start", -FINE), startLaterFine: edge("start", FINE),
    endEarlierFine: edge("end", -FINE), endLaterFine: edge("end", FINE),
    speaker1: speaker(1), speaker2: speaker(2), speaker3: speaker(3), speaker4: speaker(4),
    newSpeaker: () => desk.edit((state, index) => turns.withTurn(state, index, { speaker: desk.freeName() })),
    cleanAnew: () => desk.edit((state, index) => turns.withTurn(state, index, { text_clean: null })),
    suggestion: () => (desk.offers.length ? desk.take(desk.offers[0]) : say("There is no suggestion here.")),
    draft() {
      desk.showsDraft = !desk.showsDraft;
      desk.render();
    },
    takeDraft: () => desk.edit((state, index) => turns.withTurn(state, index, desk.clip.drafted(index))),
  };
}

function splitHere(desk) {
  const { position } = desk.player;
  const { start, end } = current(desk);
  if (start < position && position < end) return split(desk, position);
  return say("What is heard lies outside this turn: play it (F2) and stop where the second one begins.");
}

function split({ clip, transcript }, second) {
  const index = transcript.current;
  clip.edit(turns.split(clip.state, index, transcript.caret, second));
  transcript.focus(index + 1, { caret: 0 });
}

/** The word that was heard last; where that one is selected already, the word before. */
function selectHeard(desk) {
  const { player, transcript } = desk;
  const words = spoken(desk.clip.state.turns, desk.sound);
  const [from, to] = transcript.selected;
  const again = from < to && !player.hasPlayed;
  const before = (word) => word.turn < transcript.current || (word.turn === transcript.current && word.to <= from);
  selectWord(desk, words.findLast(again ? before : ({ second }) => second <= player.heard) ?? words[0]);
}

function selectNext(desk) {
  const { transcript } = desk;
  const words = spoken(desk.clip.state.turns, desk.sound);
  const [, to] = transcript.selected;
  const after = (word) => word.turn > transcript.current || (word.turn === transcript.current && word.from >= to);
  selectWord(desk, words.find(after) ?? words.at(-1));
}

function selectWord({ player, transcript }, { turn, from, to, second }) {
  player.stop(second);
  transcript.select(turn, [from, to]);
}

async function insert({ transcript, me, fillers }) {
  const place = transcript.selected;
  const piece = await choosePiece([...me.events, ...fillers]);
  if (piece) transcript.insert(piece, place);
  else transcript.focus(transcript.current, { caret: place[1] });
}

function current({ clip, transcript }) {
  return clip.state.turns[transcript.current];
}

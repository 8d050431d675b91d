// What the page does: writing, speaking, listening, saying a turn again, keeping and downloading.

import { Dialogue } from "./dialogue.js";
import { downloadSound, downloadSubtitles } from "./downloads.js";
import { keepDraft, keepSpeech, keptDraft, keptSpeech } from "./kept.js";
import { receive } from "./making.js";
import { NewVoice } from "./newvoice.js";
import { Player } from "./player.js";
import { EMPTY, EXAMPLE, LONGEST, writeScript } from "./script.js";
import { speak } from "./server.js";
import { clock, hideFault, say, showFault } from "./status.js";
import { Voices } from "./voices.js";
import { Wave } from "./wave.js";

const nothing = () => {};
const $ = (selector) => document.querySelector(selector);
const dialogue = new Dialogue($("#turns"), $("#turn"));
const voices = new Voices($("#voices"), $("#voice"));
const newVoice = new NewVoice($("#new-voice"), $("#take"));
const player = new Player();
let wave = null; // made when there is something to draw
let speech = null; // what is shown and can be downloaded
let offset = 0; // where in it the player's track begins, in seconds
let request = null; // the AbortController of what is being made

// Writing

function writtenTurns() {
  return dialogue.turns.filter(({ text }) => text.trim());
}

function speakersOf(turns) {
  return [...new Set(turns.map(({ speaker }) => speaker))].sort();
}

function showWritten() {
  const { length } = writeScript(writtenTurns());
  $("#length").textContent = length ? `${length} of ${LONGEST} characters` : "";
  $("#length").classList.toggle("over", length > LONGEST);
  $("#example").hidden = length > 0;
  $("#clear").hidden = length === 0;
  voices.show(speakersOf(dialogue.turns));
  compare();
}

/** Marks what was written since it was spoken. */
function compare() {
  dialogue.compare(speech);
  const said = (turns) => JSON.stringify(turns.map(({ speaker, text }) => [speaker, text]));
  $("#stale").hidden = !speech?.places.length || said(writtenTurns()) === said(speech.turns);
}

function keepWritten() {
  keepDraft({ turns: dialogue.turns, voices: voices.chosen });
}

function startOver() {
  if (confirm("Remove all turns?")) dialogue.turns = EMPTY;
  dialogue.focus();
}

// Speaking

function speakAll() {
  const turns = writtenTurns();
  if (!turns.length) {
    say("Write what is to be said first.");
    dialogue.focus();
    return;
  }
  const asked = { input: writeScript(turns), ...voices.request(speakersOf(turns)) };
  const before = speech;
  const begun = (take) => {
    speech = take;
    offset = 0;
    show();
  };
  const failed = () => {
    if (!before?.cues.length || speech === before) return;
    player.stop();
    speech = before; // rather the whole of the last one than some of this one
  };
  make(asked, turns, speakAll, { begun, grown: () => wave.grow(speech.track), failed });
}

/** Another take of one turn, in the voices of the speech that it belongs to. */
function speakTurn(id) {
  const turn = dialogue.turns.find((each) => each.id === id);
  const [seed] = crypto.getRandomValues(new Uint32Array(1)); // or the take would be the same each time
  const asked = { input: writeScript([turn]), continue_from: speech.name, seed };
  const begun = () => (offset = speech.place(id).start);
  const finished = (take) => (speech = speech.replaced(take));
  make(asked, [turn], () => speakTurn(id), { begun, finished });
}

/** Asks for the speech of `turns`, plays it as it comes, and tells how it goes. */
async function make(asked, turns, retry, { begun, grown = nothing, finished = nothing, failed = nothing }) {
  if (request) {
    say("Something is being spoken: stop that first.");
    return;
  }
  player.stop();
  player.unlock(speech?.track.rate);
  request = new AbortController();
  hideFault();
  say("Waiting for the first sound …");
  show();
  const speaking = (take) => {
    begun(take);
    say("Speaking …");
  };
  try {
    const take = await receive(speak(asked, request.signal), turns, player, { begun: speaking, grown });
    finished(take);
    say(take.cutOff ? "Done, but some of it was cut off before it ended by itself." : "Done.");
  } catch (fault) {
    failed();
    if (fault.name === "AbortError") say("Stopped.");
    else showFault(fault, retry);
  }
  request = null;
  player.complete();
  show();
  if (speech) keepSpeech(speech);
}

function stop() {
  request?.abort();
  player.stop();
}

// Listening

function playFrom(second, until) {
  offset = 0;
  player.play(speech.track, { from: second, until, growing: request !== null });
}

function playTurn(id) {
  const { start, end } = speech.place(id);
  playFrom(start, end);
}

function playOrPause() {
  if (player.playing) player.pause();
  else if (player.active) player.resume();
  else if (speech) playFrom(0);
}

function showPosition() {
  const second = offset + player.position;
  const place = speech.places.find(({ start, end }) => start <= second && second < end);
  wave.seek(second);
  highlight(place?.turn.id);
  $("#time").textContent = `${clock(second)} / ${clock(speech.track.seconds)}`;
}

function highlight(id) {
  dialogue.highlight(id);
  wave?.highlight(id);
}

// Showing

function show() {
  showButtons();
  compare();
  if (!speech) return;
  $("#speech").hidden = false;
  wave ??= newWave();
  if (!request) wave.show(speech.track, speech.places);
}

function showButtons() {
  $("#speak").textContent = request ? "Stop" : "Speak";
  $("#speak").title = request ? "Esc" : "Ctrl + Enter";
  $("#play").hidden = !speech;
  $("#play").textContent = player.playing ? "Pause" : "Play";
  $("#srt").hidden = $("#vtt").hidden = !speech?.cues.length;
  if (player.active) return;
  highlight(null);
  $("#time").textContent = speech ? clock(speech.track.seconds) : "";
}

function newWave() {
  const made = new Wave($("#wave"));
  made.addEventListener("seek", ({ detail }) => playFrom(detail));
  made.addEventListener("turn", ({ detail }) => playTurn(detail));
  return made;
}

// Keys, clicks, and what was here before

function onKey(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) speakAll();
  else if (event.key === "Escape") stop();
  else if (event.key === " " && !event.target.closest("input, textarea, select, button, audio")) playOrPause();
  else return;
  event.preventDefault();
}

async function recordVoice(speaker) {
  const voice = await newVoice.open();
  if (!voice) return;
  await loadVoices();
  voices.choose(speaker, voice.id);
  say(`${speaker} now speaks as ${voice.name}.`);
}

async function loadVoices() {
  await voices.load().catch((fault) => showFault(fault, loadVoices));
}

async function restore() {
  const kept = keptDraft();
  Object.assign(voices.chosen, kept?.voices);
  dialogue.turns = kept?.turns.length ? kept.turns : EMPTY;
  loadVoices();
  speech = await keptSpeech();
  show();
}

document.addEventListener("keydown", onKey);
dialogue.addEventListener("change", () => {
  showWritten();
  keepWritten();
});
dialogue.addEventListener("hear", ({ detail }) => playTurn(detail));
dialogue.addEventListener("again", ({ detail }) => speakTurn(detail));
voices.addEventListener("change", keepWritten);
voices.addEventListener("record", ({ detail }) => recordVoice(detail));
voices.addEventListener("fault", ({ detail }) => showFault(detail));
player.addEventListener("position", showPosition);
player.addEventListener("change", showButtons);
$("#add").onclick = () => dialogue.add();
$("#example").onclick = () => (dialogue.turns = EXAMPLE);
$("#clear").onclick = startOver;
$("#speak").onclick = () => (request ? stop() : speakAll());
$("#play").onclick = playOrPause;
$("#wav").onclick = () => downloadSound(speech.track);
$("#srt").onclick = () => downloadSubtitles("srt", speech.cues, (speaker) => speaker);
$("#vtt").onclick = () => downloadSubtitles("vtt", speech.cues, (speaker) => voices.nameOf(speaker));
restore();

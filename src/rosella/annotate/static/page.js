// The page: who works here, which part of it is shown, what keys and buttons do, and how saving goes.

import { actions, ALWAYS } from "./doing.js";
import { Desk } from "./desk.js";
import { element } from "./dialogs.js";
import { enter, enterByInvitation, loginAgain } from "./entering.js";
import { asked, chordFor, shown, spoken } from "./keys.js";
import * as kept from "./kept.js";
import { Outbox } from "./outbox.js";
import { showPeople, showProgress } from "./overview.js";
import { logout, send } from "./server.js";
import { dismiss, notice, say } from "./status.js";
import { plain } from "./turns.js";

const $ = (selector) => document.querySelector(selector);
const outbox = new Outbox();
let me = null;
let desk = null;
let doing = {};

async function begin() {
  try {
    const token = location.hash.match(/^#invitation[/=](.+)$/)?.[1];
    me = token ? await enterByInvitation(decodeURIComponent(token)) : await enter();
  } catch (fault) {
    notice("begin", fault.message, [{ label: "Try again", act: begin }]);
    return;
  }
  if (location.hash.startsWith("#invitation")) history.replaceState(null, "", "#");
  greet();
  desk = new Desk(me, outbox);
  outbox.person = me.name;
  tellStrangers();
  doing = actions(desk, { send: changeNow, arrived });
  desk.addEventListener("fault", ({ detail }) => onFault(detail));
  desk.addEventListener("change", showPlaying);
  showPart();
  await desk.begin(location.hash.match(/^#clip\/(.+)$/)?.[1]);
}

function greet() {
  $("nav").hidden = false;
  $("nav .owner").hidden = me.role !== "owner";
  $("#who").textContent = me.local ? "Only you, on this machine: no login is needed." : `${me.name}, ${me.role}`;
  $("#logout").hidden = me.local;
}

/** Shows the desk, the progress or the people. */
function showPart() {
  const part = { "#progress": "progress", "#people": "people" }[location.hash] ?? "work";
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== part;
  for (const link of document.querySelectorAll("nav a")) {
    const here = (link.hash.slice(1) || "work") === part;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (part !== "work") desk.player.pause();
  if (part === "progress") showProgress();
  if (part === "people") showPeople(me);
}

function onKey(event) {
  desk?.touch();
  const does = asked(event);
  if (event.defaultPrevented || !does || !desk || document.querySelector("dialog[open]") || $("#work").hidden) return;
  event.preventDefault();
  perform(does);
}

function perform(does) {
  if (desk?.clip || ALWAYS.has(does)) doing[does]();
}

function showPlaying() {
  const { playing, loop, speed } = desk.player;
  $("[data-does=play] span").textContent = playing ? "Pause" : "Play";
  $("[data-does=loop]").setAttribute("aria-pressed", String(loop));
  $("#speed").textContent = `${speed} ×`;
}

// Saving

function showSaving() {
  const [waiting, conflicts, retry] = [outbox.waiting.length, outbox.conflicts.length, outbox.retry];
  const told = [waiting && waitingSentence(waiting, retry), conflicts && `${saves(conflicts)} to merge`].filter(Boolean).join("; ") || "Saved";
  if ($("#saved").textContent !== told) $("#saved").textContent = told;
  $("#retry").textContent = waiting && retry !== null ? `(next try in ${retry} s)` : ""; // not read aloud each second
  $("#saving").dataset.state = conflicts ? "conflict" : retry !== null ? "away" : waiting ? "sending" : "saved";
  if (conflicts && !document.querySelector("[data-notice=conflict]")) tellConflict();
}

function waitingSentence(waiting, retry) {
  return retry === null ? "Saving …" : `${saves(waiting)} not sent, ${kept.refused() ? "only in this tab" : "kept in this browser"}`;
}

/** Work of another person that waits in this browser. */
function tellStrangers() {
  for (const name of outbox.strangers) {
    notice("stranger", `Corrections by ${name} wait in this browser; they are sent when ${name} logs in here.`);
  }
}

function saves(count) {
  return count === 1 ? "1 correction" : `${count} corrections`;
}

function tellConflict() {
  const [{ clip, title }] = outbox.conflicts;
  notice("conflict", `Somebody else changed “${title}” before your correction of it arrived; nothing is lost.`, [
    { label: "Compare and merge", key: "Alt + V", act: () => desk.meeting.merge() },
  ]);
  if (desk?.clip?.id === clip && !document.querySelector("dialog[open]")) desk.meeting.merge();
}

/** A save that can never arrive comes back as unsaved edits. */
function onRefused({ entry, fault }) {
  const { clip, body, base } = entry;
  if (!clip || !body.state) return say(fault.message);
  const open = desk.clip?.id === clip;
  const state = open ? plain(desk.clip.state) : body.state;
  kept.keepDraft({ clip, person: me.name, version: body.version, base, state, at: Date.now() });
  if (open) desk.open(clip);
  return notice("refused", `“${entry.title}” could not be saved: ${fault.message}`, open ? [] : [{ label: "Correct it", act: () => desk.open(clip) }]);
}

function onGone({ entry }) {
  if (entry.clip) desk.forget(entry.clip);
  notice("gone", "A clip that you corrected is no longer in the corpus; what was kept of it here is gone, too.");
}

/** A change that is answered at once; a second try of the same changes nothing twice. */
async function changeNow(path, body) {
  const key = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join("");
  const entry = { method: "POST", path, body, key };
  return send(entry).catch((fault) => {
    if (!fault.again) throw fault;
    return send(entry);
  });
}

/** Waits until nothing is on its way. */
function arrived() {
  return new Promise((resolve) => {
    const look = () => {
      if (outbox.busy || (outbox.waiting.length && outbox.retry === null)) return;
      outbox.removeEventListener("change", look);
      resolve();
    };
    outbox.addEventListener("change", look);
    look();
  });
}

async function onFault({ fault, again }) {
  if (fault.status === 401) {
    await renew();
    again();
  } else {
    notice("fault", fault.message, fault.again ? [{ label: "Try again", act: again }] : []);
  }
}

/** The session has ended: whoever logs in goes on, and another person begins afresh. */
async function renew() {
  const now = await loginAgain("Your session has ended. Log in to go on; nothing is lost.");
  if (now.name !== me.name) location.reload();
  outbox.person = now.name;
}

async function leave() {
  if (outbox.waiting.length && !confirm("Some corrections are not sent yet. They stay in this browser until you log in again. Log out?")) return;
  await logout().catch(({ message }) => say(message));
  location.reload();
}

outbox.addEventListener("change", showSaving);
outbox.addEventListener("sent", ({ detail }) => desk?.meeting.sent(detail));
outbox.addEventListener("conflict", () => dismiss("conflict"));
outbox.addEventListener("refused", ({ detail }) => onRefused(detail));
outbox.addEventListener("gone", ({ detail }) => onGone(detail));
outbox.addEventListener("stranger", renew);
addEventListener("online", () => outbox.flush());
addEventListener("hashchange", () => me && showPart());
addEventListener("beforeunload", (event) => kept.refused() && (outbox.waiting.length || desk?.clip?.edited) && event.preventDefault());
addEventListener("pagehide", () => desk?.leave());
addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // it comes back without its stream
document.addEventListener("keydown", onKey);
document.addEventListener("pointerdown", () => desk?.touch());
setInterval(() => outbox.retry !== null && showSaving(), 1000);
$("#logout").onclick = leave;
for (const button of document.querySelectorAll("[data-does]")) {
  const { does } = button.dataset;
  button.title = shown(chordFor(does));
  button.setAttribute("aria-keyshortcuts", spoken(chordFor(does)));
  button.onclick = () => perform(does);
  if (button.closest("#judging, #playing")) button.append(element("kbd", shown(chordFor(does))));
}
begin();

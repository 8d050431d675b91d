// The small dialogs of the desk: keys, palette, rejection, comment, speakers, and the list of clips.

import { element, open, tell } from "./dialogs.js";
import { GROUPS, shown } from "./keys.js";
import { visited } from "./kept.js";
import { speakers, speakerSound } from "./server.js";

const REASONS = ["several speak at once", "music or noise", "not the language", "unintelligible", "cut in the middle of a word", "private or offensive", "not speech"];
const $ = (selector) => document.querySelector(selector);

/** The overlay of keys; F1 closes it as well. */
export function showHelp() {
  const dialog = $("#help");
  dialog.querySelector(".groups").replaceChildren(...GROUPS.map(([name, keys]) => {
    const section = element("section");
    const table = element("table");
    for (const [, chord, says] of keys) {
      const row = element("tr");
      const cell = element("th", "", { scope: "row" });
      cell.append(element("kbd", shown(chord)));
      row.append(cell, element("td", says));
      table.append(row);
    }
    section.append(element("h3", name), table);
    return section;
  }));
  dialog.onkeydown = (event) => {
    const held = event.ctrlKey || event.altKey || event.metaKey;
    if (event.key === "F1" || held) event.preventDefault(); // also Ctrl + Enter, which would press the button
    if (event.key === "F1") dialog.close();
  };
  return open(dialog);
}

/** An event or a filler, chosen by typing some of it and the arrows; or null. */
export function choosePiece(pieces) {
  const dialog = $("#palette");
  const [input, list] = [dialog.querySelector("input"), dialog.querySelector("ul")];
  let fitting = [];
  let at = 0;
  const show = () => {
    const typed = input.value.trim().toLowerCase();
    fitting = pieces.filter((piece) => piece.toLowerCase().includes(typed));
    at = Math.max(0, Math.min(at, fitting.length - 1));
    list.replaceChildren(...fitting.map((piece, place) => {
      const option = element("li", piece, { role: "option", id: `piece-${place}`, "aria-selected": String(place === at) });
      option.onclick = () => ((at = place), dialog.querySelector("form").requestSubmit());
      return option;
    }));
    input.setAttribute("aria-activedescendant", fitting.length ? `piece-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  input.value = "";
  input.oninput = () => ((at = 0), show());
  input.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at += step;
    show();
  };
  show();
  return open(dialog, () => fitting[at] ?? undefined);
}

/** A reason to reject a clip, or null. */
export function askReason(given) {
  const dialog = $("#reject");
  dialog.querySelector(".reasons").replaceChildren(...REASONS.map((reason, at) => {
    const label = element("label", "", { class: "inline" });
    const radio = element("input", "", { type: "radio", name: "reason", value: reason });
    radio.checked = given ? reason === given : at === 0;
    label.append(radio, ` ${at + 1}. ${reason}`);
    return label;
  }));
  const words = dialog.querySelector("[name=words]");
  words.value = given && !REASONS.includes(given) ? given : "";
  tell(dialog, "");
  dialog.onkeydown = (event) => {
    const radio = dialog.querySelectorAll("[type=radio]")[Number(event.key) - 1];
    if (!radio || event.target === words || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    radio.checked = true;
    radio.focus();
  };
  return open(dialog, (form) => {
    const found = form.words.value.trim() || form.reason.value;
    if (!found) tell(dialog, "Choose a reason, or write one.");
    return found || undefined;
  });
}

/** A comment, "" to take it away, or null to leave it. */
export function askComment(given) {
  const dialog = $("#comment");
  dialog.querySelector("textarea").value = given ?? "";
  return open(dialog, (form) => form.comment.value.trim());
}

/** {before, after} of a speaker of the recording, or null. */
export async function askName(recording, current, fault) {
  const dialog = $("#rename");
  const [list, after] = [dialog.querySelector(".speakers"), dialog.querySelector("[name=after]")];
  list.replaceChildren();
  tell(dialog, "Asking who speaks …");
  after.value = "";
  const player = new Audio();
  const known = speakers(recording).then(({ speakers: found }) => {
    tell(dialog, "");
    list.replaceChildren(...found.map((speaker) => speakerLine(recording, speaker, speaker.name === current, player, fault)));
    (list.querySelector(":checked") ?? list.querySelector("input"))?.focus();
    return found.map(({ name }) => name);
  }).catch((problem) => (tell(dialog, problem.message), []));
  after.oninput = async () => {
    const merges = (await known).includes(after.value.trim());
    tell(dialog, merges ? "That name is taken in this recording: the two become one speaker." : "");
  };
  const answer = await open(dialog, (form) => {
    const before = form.before?.value;
    if (before) return { before, after: form.after.value.trim() };
    tell(dialog, "Choose a speaker first.");
    return undefined;
  });
  player.pause();
  return answer;
}

function speakerLine(recording, { name, seconds, turns }, chosen, player, fault) {
  const line = element("div", "", { class: "speaker" });
  const label = element("label", "", { class: "inline" });
  const radio = element("input", "", { type: "radio", name: "before", value: name });
  radio.checked = chosen;
  label.append(radio, ` ${name}`, element("span", ` ${Math.round(seconds)} s in ${turns} turns`, { class: "soft" }));
  const hear = element("button", "Hear", { type: "button", "aria-label": `Hear ${name}` });
  hear.onclick = async () => {
    try {
      player.src = URL.createObjectURL(await speakerSound(recording, name));
      await player.play();
    } catch (problem) {
      fault(problem);
    }
  };
  line.append(label, hear);
  return line;
}

/** The id of a clip to go back to, or null. */
export async function chooseClip(drafts) {
  const dialog = $("#list");
  let wanted = null;
  const unfinished = new Set(drafts.map(({ clip }) => clip));
  dialog.querySelector("ol").replaceChildren(...visited().map(({ id, title, start, done }) => {
    const line = element("li");
    const button = element("button", `${title}, at ${start.toFixed(1)} s`, { type: "button" });
    button.onclick = () => ((wanted = id), dialog.close());
    line.append(button, element("span", unfinished.has(id) ? " unfinished edits, kept here" : ` ${done}`, { class: "soft" }));
    return line;
  }));
  await open(dialog);
  return wanted;
}

// The dialog that shows two versions of one clip, and lets a person make one of them.

import { difference, drawn, words } from "./difference.js";
import { element, open } from "./dialogs.js";
import { chosen, merged, said } from "./merging.js";
import { plain } from "./turns.js";

const dialog = document.querySelector("#merge");

/** Asks for one state out of `mine` and that of a newer `view`, both made of `base`; null: later. */
export async function compare({ base, mine, view }) {
  const theirs = plain(view.state);
  const both = merged(base, mine, theirs);
  const pick = new Map(both.clashes.map(({ place, mine: own }) => [place, own]));
  const who = authorOf(view);
  dialog.querySelector(".why").textContent = explained(who, both.clashes.length);
  dialog.querySelector(".versions").replaceChildren(
    version("Mine", base, mine), version(`Theirs (${who})`, base, theirs), version("The model's", view.draft, view.draft),
  );
  dialog.querySelector(".clashes").replaceChildren(...both.clashes.map((clash, at) => question(clash, at, who, (value) => pick.set(clash.place, value))));
  let whole = null;
  const form = dialog.querySelector("form");
  dialog.querySelector(".mine").onclick = () => ((whole = mine), form.requestSubmit());
  dialog.querySelector(".theirs").onclick = () => ((whole = theirs), form.requestSubmit());
  return open(dialog, () => whole ?? [...pick].reduce((state, [place, value]) => chosen(state, place, value), both.merged));
}

function explained(who, clashes) {
  const told = `${who} saved this clip while you worked on it.`;
  if (!clashes) return `${told} Your changes and theirs fit together: this keeps both.`;
  return `${told} What fits together is kept of both; choose for the rest.`;
}

function version(title, base, state) {
  const section = element("section");
  section.append(element("h3", title));
  for (const [at, turn] of state.turns.entries()) {
    const line = element("p");
    const before = base.turns.length === state.turns.length ? base.turns[at].text : turn.text;
    line.append(element("b", `${turn.speaker}: `), drawn(difference(words(before), words(turn.text))));
    section.append(line);
  }
  if (state.comment) section.append(element("p", `Comment: ${state.comment}`, { class: "soft" }));
  return section;
}

/** Mine or theirs by arrow keys; a text can be written anew. */
function question({ place, label, mine, theirs }, at, who, pick) {
  const box = element("fieldset");
  box.append(element("legend", label));
  const writes = typeof mine === "string" && typeof theirs === "string" && place[0] !== "comment";
  const text = element("textarea", "", { rows: "2", "aria-label": `${label}: what is kept` });
  for (const [name, value] of [["Mine", mine], [who, theirs]]) {
    const line = element("label", "", { class: "inline" });
    const radio = element("input", "", { type: "radio", name: `clash-${at}` });
    radio.checked = name === "Mine";
    radio.onchange = () => ((text.value = value), pick(value));
    line.append(radio, element("b", ` ${name}: `), said(value));
    box.append(line);
  }
  if (!writes) return box;
  text.value = mine;
  text.oninput = () => pick(text.value);
  box.append(text);
  return box;
}

function authorOf({ history }) {
  const newest = history.reduce((last, row) => (last && last.number > row.number ? last : row), null);
  return newest?.author ?? "Somebody else";
}

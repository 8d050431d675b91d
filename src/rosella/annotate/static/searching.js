// The dialog that searches all clips, and replaces words in them.

import { element, open, tell } from "./dialogs.js";
import { search } from "./server.js";

const dialog = document.querySelector("#search");
const [form, found] = [dialog.querySelector("form"), dialog.querySelector(".found")];
let undoable = null; // the batch of the last replacement

/** Opens it; resolves to the id of a clip to go to, or null. `send(path, body)` changes the server, `before` comes first. */
export async function searchAll(send, before) {
  let wanted = null;
  const go = (id) => ((wanted = id), dialog.close());
  dialog.querySelector(".replace").onclick = () => guarded(() => replaceAll(send, before));
  dialog.querySelector(".undo").onclick = () => guarded(() => undoAll(send, before));
  showUndo();
  await open(dialog, () => guarded(() => showFound(go)));
  return wanted;
}

async function showFound(go) {
  if (!form.text.value) return tell(dialog, "Write what to search for.");
  tell(dialog, "Searching …");
  const { found: places, total } = await search(asked());
  const shown = places.length < total ? `The first ${places.length} of ${total} places.` : "";
  tell(dialog, shown || (total === 1 ? "1 place." : total ? `${total} places.` : "Nothing found."));
  found.replaceChildren(...places.map(({ clip, start, text }) => {
    const line = element("li");
    const button = element("button", text, { type: "button" });
    button.onclick = () => go(clip);
    line.append(button, element("span", ` at ${start.toFixed(1)} s`, { class: "soft" }));
    return line;
  }));
  return undefined;
}

async function replaceAll(send, before) {
  const { text, whole, case: exact, speaker } = asked();
  if (!text) return tell(dialog, "Write what to search for.");
  const put = form.put.value;
  if (!confirm(`Replace “${text}” by “${put}” in all clips${speaker ? ` where ${speaker} speaks` : ""}?`)) return undefined;
  tell(dialog, "Replacing …");
  await before();
  const done = await send("/api/replace", { find: text, replace: put, whole, case: exact, ...(speaker ? { speaker } : {}) });
  undoable = done.changed ? done.batch : null;
  showUndo();
  found.replaceChildren();
  return tell(dialog, `Changed ${clips(done.changed)}.${left(done.left)}`);
}

async function undoAll(send, before) {
  await before();
  const done = await send(`/api/batches/${encodeURIComponent(undoable)}/undo`, {});
  undoable = null;
  showUndo();
  return tell(dialog, `Put ${clips(done.clips)} back.${left(done.left)}`);
}

function left(count) {
  return count ? ` ${clips(count)} changed meanwhile and stayed as they are.` : "";
}

function clips(count) {
  return count === 1 ? "1 clip" : `${count} clips`;
}

function asked() {
  const { text, speaker, whole, case: exact } = form;
  return { text: text.value, speaker: speaker.value.trim(), whole: whole.checked, case: exact.checked };
}

function showUndo() {
  dialog.querySelector(".undo").hidden = !undoable;
}

async function guarded(work) {
  try {
    await work();
  } catch (fault) {
    tell(dialog, fault.message);
  }
}

// How it goes in a sentence, and notices that stay until they are closed.

import { element } from "./dialogs.js";

const status = document.querySelector("#status");
const notices = document.querySelector("#notices");
let timer = 0;

export function say(sentence) {
  clearTimeout(timer);
  status.textContent = sentence;
  timer = setTimeout(() => (status.textContent = ""), 8000);
}

/** Shows a sentence that wants an answer: `buttons` are {label, key, act}. One `name` has one notice. */
export function notice(name, sentence, buttons = []) {
  if (shown(name)?.firstChild.textContent === sentence) return; // or it would be read aloud again
  dismiss(name);
  const box = element("div", "", { "data-notice": name });
  box.append(element("p", sentence));
  for (const { label, key, act } of buttons) {
    const button = element("button", label, { type: "button" });
    if (key) button.append(" ", element("kbd", key));
    button.onclick = () => (dismiss(name), act());
    box.append(button);
  }
  const close = element("button", "Close", { type: "button" });
  close.onclick = () => dismiss(name);
  box.append(close);
  notices.append(box);
}

export function dismiss(name) {
  shown(name)?.remove();
}

function shown(name) {
  return [...notices.children].find(({ dataset }) => dataset.notice === name);
}

/** Seconds as 1:05.3. */
export function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

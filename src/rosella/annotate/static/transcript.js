// The turns of a clip as boxes to write in, each with its speaker, its times, and what the model wrote.

import { draftSteps, difference, drawn, words } from "./difference.js";

const FIELDS = ["text", "text_clean"];
const NEW = " new"; // no name begins with a space

/** Tells `edit` {index, field, value}, `assign` {index, speaker or null}, `unusable`, `hear` and `current` (index). */
export class Transcript extends EventTarget {
  #list;
  #template;
  #shown = null;
  #place = { index: 0, field: "text" };

  constructor(list, template) {
    super();
    [this.#list, this.#template] = [list, template];
    list.addEventListener("input", ({ target }) => target.matches("textarea") && this.#tell("edit", { ...placeOf(target), value: target.value }));
    list.addEventListener("beforeinput", (event) => event.target.matches("textarea") && takeSpace(event));
    list.addEventListener("change", ({ target }) => this.#changed(target));
    list.addEventListener("click", ({ target }) => target.closest(".hear") && this.#tell("hear", placeOf(target).index));
    list.addEventListener("focusin", ({ target }) => this.#focused(target));
  }

  /** The turn that keys are about. */
  get current() {
    return Math.min(this.#place.index, this.#list.children.length - 1);
  }

  set current(index) {
    this.#place = { ...this.#place, index: Math.max(0, Math.min(index, this.#list.children.length - 1)) };
    this.#mark();
  }

  get caret() {
    return this.#box().selectionStart;
  }

  /** Where the selected words begin and end; to be asked before a dialog takes the focus, which browsers may lose it by. */
  get selected() {
    const { selectionStart, selectionEnd } = this.#box();
    return [selectionStart, selectionEnd];
  }

  /** Shows a state; `draft` is null where it stays hidden; `clean` says whether there are clean texts at all. */
  show({ turns, draft, names, colour, tags }) {
    while (this.#list.children.length > turns.length) this.#list.lastChild.remove();
    while (this.#list.children.length < turns.length) this.#list.append(this.#template.content.cloneNode(true));
    const steps = draft ? draftSteps(draft, turns) : null;
    for (const [index, turn] of turns.entries()) this.#showTurn(index, turn, { steps: steps?.[index], names, colour, tags });
    this.#mark();
  }

  /** The turn that is heard; null: none. */
  hear(index) {
    if (this.#shown === index) return;
    this.#shown = index;
    for (const [at, item] of [...this.#list.children].entries()) {
      if (at === index) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
  }

  /** Puts the caret into a turn; at its end, or where `caret` says. */
  focus(index = this.current, { caret = null, field = "text" } = {}) {
    this.#place = { index: Math.max(0, Math.min(index, this.#list.children.length - 1)), field };
    const box = this.#box();
    box.focus();
    if (caret !== null) box.setSelectionRange(caret, caret);
  }

  /** Selects what stands between two places of a verbatim text. */
  select(index, [from, to]) {
    this.focus(index);
    this.#box().setSelectionRange(from, to);
  }

  /** Puts words between two places of the text, with spaces around them where they are missing. */
  insert(text, [start, end]) {
    const box = this.#box();
    const [before, after] = [box.value.slice(0, start), box.value.slice(end)];
    const put = (before && !/\s$/.test(before) ? " " : "") + text + (after && !/^[\s.,?!…]/.test(after) ? " " : "");
    box.focus();
    box.setRangeText(put, start, end, "end");
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }

  /** Shows what is wrong: [{turn, field, message}]. */
  blame(faults) {
    for (const [index, item] of [...this.#list.children].entries()) {
      for (const field of FIELDS) {
        const own = faults.filter((fault) => fault.turn === index && (fault.field ?? "text") === field).map(({ message }) => message);
        const rest = field === "text" ? faults.filter((fault) => fault.turn === index && !FIELDS.includes(fault.field ?? "text")) : [];
        put(item.querySelector(`.${field} .fault`), [...own, ...rest.map(({ message }) => message)].join(" "));
        item.querySelector(`.${field} textarea`).setAttribute("aria-invalid", String(own.length > 0));
      }
    }
  }

  /** Offers corrected words: [{turn, from, to, times}]. */
  suggest(offers, take) {
    for (const [index, item] of [...this.#list.children].entries()) {
      const buttons = offers.filter(({ turn }) => turn === index).map((offer) => chip(offer, offer === offers[0], take));
      item.querySelector(".offers").replaceChildren(...buttons);
    }
  }

  #showTurn(index, turn, { steps, names, colour, tags }) {
    const item = this.#list.children[index];
    item.dataset.colour = colour(turn.speaker);
    item.classList.toggle("is-unusable", turn.overlap);
    item.setAttribute("aria-label", `Turn ${index + 1}, ${turn.speaker}, ${turn.start.toFixed(2)} to ${turn.end.toFixed(2)} seconds`);
    put(item.querySelector(".tag"), tags(turn.speaker));
    put(item.querySelector(".times"), `${turn.start.toFixed(2)} – ${turn.end.toFixed(2)} s`);
    item.querySelector(".unusable input").checked = turn.overlap;
    this.#showNames(item.querySelector("select"), turn.speaker, names);
    for (const field of FIELDS) this.#showText(item, index, field, turn[field] ?? "");
    const kept = steps?.some(({ kind }) => kind !== "same");
    item.querySelector(".drafted").hidden = !steps;
    item.querySelector(".drafted .steps").replaceChildren(steps ? drawn(steps) : "");
    put(item.querySelector(".drafted b"), kept ? "Model:" : "As the model wrote it.");
    if (!kept && steps) item.querySelector(".drafted .steps").replaceChildren();
    const removed = difference(words(turn.text), words(turn.text_clean));
    item.querySelector(".cleaned").hidden = turn.text_clean == null || !removed.some(({ kind }) => kind !== "same");
    item.querySelector(".cleaned .steps").replaceChildren(drawn(removed));
  }

  #showText(item, index, field, text) {
    const box = item.querySelector(`.${field} textarea`);
    if (box.value !== text) {
      const caret = document.activeElement === box ? box.selectionStart : null;
      box.value = text;
      if (caret !== null) box.setSelectionRange(caret, caret);
    }
    box.setAttribute("aria-label", `Turn ${index + 1}, ${field === "text" ? "verbatim" : "clean"}`);
    const fault = item.querySelector(`.${field} .fault`);
    fault.id = `fault-${index}-${field}`;
    box.setAttribute("aria-describedby", fault.id);
  }

  #showNames(select, speaker, names) {
    const wanted = [...new Set([...names, speaker])];
    if (JSON.stringify(wanted) !== select.dataset.names) {
      select.replaceChildren(...wanted.map((name) => new Option(name, name)), new Option("New speaker", NEW));
      select.dataset.names = JSON.stringify(wanted);
    }
    select.value = speaker;
  }

  #changed(target) {
    const { index } = placeOf(target);
    if (target.matches("select")) this.#tell("assign", { index, speaker: target.value === NEW ? null : target.value });
    if (target.matches("[type=checkbox]")) this.#tell("unusable", index);
  }

  #focused(target) {
    const place = placeOf(target);
    if (target.matches("textarea")) this.#place = place;
    else this.#place = { ...this.#place, index: place.index };
    this.#mark();
    this.#tell("current", this.current);
  }

  #mark() {
    for (const [at, item] of [...this.#list.children].entries()) item.classList.toggle("current", at === this.current);
  }

  #box() {
    return this.#list.children[this.current].querySelector(`.${this.#place.field} textarea`);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function placeOf(element) {
  const item = element.closest("li");
  const field = FIELDS.find((name) => element.closest(`.${name}`));
  return { index: [...item.parentElement.children].indexOf(item), field };
}

/** Words that are deleted whole take a space along: none is doubled. */
function takeSpace({ target: box, inputType }) {
  const { value, selectionStart: start, selectionEnd: end } = box;
  if (start === end || !/^deleteContent/.test(inputType)) return;
  const free = (place) => (value[place] ?? " ") === " ";
  if (!free(start - 1) || !free(end)) return;
  if (end < value.length) box.setSelectionRange(start, end + 1);
  else box.setSelectionRange(Math.max(0, start - 1), end);
}

function chip(offer, first, take) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "offer";
  button.append(element("del", offer.from), " → ", element("ins", offer.to), ` ${offer.times} ×`);
  if (first) button.append(" ", element("kbd", "Alt + ."));
  button.onclick = () => take(offer);
  return button;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function put(target, text) {
  if (target.textContent !== text) target.textContent = text; // or it would be read aloud again
}

// The turns as rows that one writes in. The rows themselves hold what was written.

import { SPEAKERS, hasTag, readScript } from "./script.js";

export class Dialogue extends EventTarget {
  #list;
  #template;

  constructor(list, template) {
    super();
    this.#list = list;
    this.#template = template;
    list.addEventListener("click", (event) => this.#click(event.target));
    list.addEventListener("input", (event) => this.#input(event.target.closest("li")));
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  get turns() {
    return this.#rows.map((row) => ({ id: row.dataset.id, speaker: row.dataset.speaker, text: field(row).value }));
  }

  set turns(turns) {
    this.#list.replaceChildren();
    for (const turn of turns) this.#list.append(this.#row(turn));
    this.#changed();
  }

  /** An empty turn behind `row`, said by who spoke before its speaker. */
  add(row = this.#rows.at(-1)) {
    const next = this.#row({ speaker: row ? this.#other(row) : "S1", text: "" });
    if (row) row.after(next);
    else this.#list.append(next);
    this.#changed();
    field(next).focus();
  }

  focus() {
    field(this.#rows[0]).focus();
  }

  /** Shows which turns can be heard or said again, and which were changed since; `speech` may be null. */
  compare(speech) {
    for (const row of this.#rows) {
      const said = speech?.place(row.dataset.id)?.turn;
      row.querySelector(".takes").hidden = !said;
      const same = said?.text === field(row).value && said?.speaker === row.dataset.speaker;
      row.classList.toggle("changed", Boolean(said) && !same);
    }
  }

  highlight(id) {
    for (const row of this.#rows) {
      if (row.dataset.id === id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  get #rows() {
    return [...this.#list.children];
  }

  #row({ id = newId(), speaker, text }) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    row.dataset.id = id;
    row.querySelector("select").append(...SPEAKERS.map((each) => new Option(each, each)));
    field(row).value = text;
    setSpeaker(row, speaker);
    return row;
  }

  #input(row) {
    setSpeaker(row, row.querySelector("select").value);
    if (hasTag(field(row).value)) this.#divide(row);
    this.#changed();
  }

  /** A script in a row becomes a row for each of its turns. */
  #divide(row) {
    const [first, ...others] = readScript(field(row).value, row.dataset.speaker);
    field(row).value = first.text;
    setSpeaker(row, first.speaker);
    const rows = others.map((turn) => this.#row(turn));
    row.after(...rows);
    field(rows.at(-1) ?? row).focus();
  }

  #click(target) {
    const row = target.closest("li");
    if (target.matches(".hear")) this.#tell("hear", row);
    if (target.matches(".again")) this.#tell("again", row);
    if (target.matches(".up")) row.previousElementSibling?.before(row);
    if (target.matches(".down")) row.nextElementSibling?.after(row);
    if (target.matches(".up, .down")) target.focus(); // which moving took from it
    if (target.matches(".remove")) this.#remove(row);
    if (target.matches(".up, .down, .remove")) this.#changed();
  }

  #remove(row) {
    const near = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    if (near) field(near).focus();
    else this.add();
  }

  #key(event) {
    const plain = !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing;
    if (event.key !== "Enter" || !plain || !event.target.matches("textarea")) return;
    event.preventDefault();
    const row = event.target.closest("li");
    const next = row.nextElementSibling;
    if (next && !field(next).value) field(next).focus();
    else this.add(row);
  }

  #other(row) {
    const before = this.#rows.slice(0, this.#rows.indexOf(row)).map((each) => each.dataset.speaker);
    const other = before.findLast((speaker) => speaker !== row.dataset.speaker);
    return other ?? (row.dataset.speaker === "S1" ? "S2" : "S1");
  }

  #tell(name, row) {
    this.dispatchEvent(new CustomEvent(name, { detail: row.dataset.id }));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function field(row) {
  return row.querySelector("textarea");
}

function setSpeaker(row, speaker) {
  row.dataset.speaker = speaker;
  row.querySelector("select").value = speaker;
  field(row).setAttribute("aria-label", `What ${speaker} says`);
}

/** Unlike any other, also of speech that was kept from an earlier visit. */
function newId() {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}

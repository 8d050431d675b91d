// Who lends a voice to which speaker.

import { listVoices, removeVoice } from "./server.js";

export class Voices extends EventTarget {
  #list;
  #template;
  #known = [];
  chosen = {}; // the id of a voice by speaker

  constructor(list, template) {
    super();
    this.#list = list;
    this.#template = template;
  }

  async load() {
    this.#known = await listVoices();
    this.#fill();
  }

  /** A row for each of these speakers. */
  show(speakers) {
    for (const row of this.#rows) if (!speakers.includes(row.dataset.speaker)) row.remove();
    for (const speaker of speakers) if (!this.#rowOf(speaker)) this.#list.append(this.#row(speaker));
    this.#list.append(...this.#rows.sort((one, other) => (one.dataset.speaker < other.dataset.speaker ? -1 : 1)));
    this.#fill();
  }

  choose(speaker, id) {
    this.chosen[speaker] = id;
    this.#fill();
    this.dispatchEvent(new Event("change"));
  }

  /** The `voices` of a request by these speakers, or nothing where all are left to the model. */
  request(speakers) {
    const chosen = speakers.map((speaker) => [speaker, this.#voice(speaker)]).filter(([, voice]) => voice);
    const voices = chosen.map(([speaker, voice]) => [speaker, voice.built_in ? voice.name : { id: voice.id }]);
    return chosen.length ? { voices: Object.fromEntries(voices) } : {};
  }

  /** What a speaker is called in subtitles: the saved voice's name, or his tag. */
  nameOf(speaker) {
    const voice = this.#voice(speaker);
    return voice && !voice.built_in ? voice.name : speaker;
  }

  get #rows() {
    return [...this.#list.children];
  }

  #rowOf(speaker) {
    return this.#rows.find((row) => row.dataset.speaker === speaker);
  }

  #voice(speaker) {
    return this.#known.find(({ id }) => id === this.chosen[speaker]);
  }

  #row(speaker) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    row.dataset.speaker = speaker;
    row.querySelector("b").textContent = speaker;
    row.querySelector("select").onchange = ({ target }) => this.choose(speaker, target.value);
    row.querySelector(".record").setAttribute("aria-label", `Record a voice for ${speaker}`);
    row.querySelector(".record").onclick = () =>
      this.dispatchEvent(new CustomEvent("record", { detail: speaker }));
    row.querySelector(".remove").onclick = () => this.#remove(this.#voice(speaker));
    return row;
  }

  #fill() {
    const options = (voices) => voices.map(({ id, name }) => new Option(name, id));
    for (const row of this.#rows) {
      const select = row.querySelector("select");
      const saved = group("Saved", options(this.#known.filter((voice) => !voice.built_in)));
      const own = group("The model's own", options(this.#known.filter((voice) => voice.built_in)));
      select.replaceChildren(new Option("The model chooses", ""), ...[saved, own].filter(Boolean));
      const voice = this.#voice(row.dataset.speaker);
      select.value = voice?.id ?? "";
      row.querySelector(".remove").hidden = !voice || voice.built_in;
    }
  }

  async #remove(voice) {
    if (!confirm(`Delete the voice ${voice.name} from the server? This cannot be undone.`)) return;
    try {
      await removeVoice(voice.id);
      await this.load();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("fault", { detail: error }));
    }
  }
}

function group(label, options) {
  if (!options.length) return null;
  const element = document.createElement("optgroup");
  element.label = label;
  element.append(...options);
  return element;
}

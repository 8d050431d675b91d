// The dialog in which somebody agrees to be spoken for, and lends a voice.

import { listPhrases, sendConsent, sendVoice } from "./server.js";
import { Take } from "./take.js";

export class NewVoice {
  #dialog;
  #form;
  #phrases = [];
  #consent = null; // its id
  #voice = null;
  #busy = false;

  constructor(dialog, template) {
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form");
    this.agreement = new Take(this.#find(".consent .take"), template);
    this.sample = new Take(this.#find(".sample .take"), template);
    this.#form.elements.language.onchange = () => this.#showPhrase();
    this.#form.onsubmit = (event) => event.preventDefault();
    this.#find(".cancel").onclick = () => dialog.close();
    this.#find(".agree").onclick = () => this.#attempt(() => this.#agree(), ".consent");
    this.#find(".save").onclick = () => this.#attempt(() => this.#save(), ".sample");
  }

  /** The voice that was saved, or null if the dialog was left before. */
  async open() {
    this.#reset();
    this.#dialog.showModal();
    this.#attempt(() => this.#loadPhrases(), ".consent");
    await new Promise((resolve) => this.#dialog.addEventListener("close", resolve, { once: true }));
    this.agreement.clear();
    this.sample.clear();
    return this.#voice;
  }

  #reset() {
    this.#form.reset();
    this.#consent = this.#voice = null;
    this.#find(".sample").disabled = true;
    this.#form.elements.language.disabled = this.#find(".consent").disabled = false;
    for (const part of [".consent", ".sample"]) this.#say(part, "");
  }

  async #loadPhrases() {
    this.#phrases = await listPhrases();
    const { language } = this.#form.elements;
    language.replaceChildren(...this.#phrases.map((each) => new Option(languageName(each.language), each.language)));
    const own = this.#phrases.find((each) => navigator.language.startsWith(each.language));
    if (own) language.value = own.language;
    this.#showPhrase();
  }

  #showPhrase() {
    const { value } = this.#form.elements.language;
    this.#find("#phrase").textContent = this.#phrases.find(({ language }) => language === value)?.phrase ?? "";
    this.#find("#phrase").lang = value;
  }

  async #agree() {
    const { name, language } = this.#form.elements;
    if (!name.reportValidity()) return;
    const recording = taken(this.agreement);
    this.#say(".consent", "Listening to it …");
    this.#consent = (await sendConsent({ name: name.value, language: language.value, recording })).id;
    this.#say(".consent", "Thank you, that is understood.");
    language.disabled = this.#find(".consent").disabled = true;
    this.#find(".sample").disabled = false;
    this.#form.elements.text.focus();
  }

  async #save() {
    const { name, language, text } = this.#form.elements;
    if (!name.reportValidity()) return;
    const fields = { name: name.value, language: language.value, text: text.value.trim(), consent: this.#consent };
    const audio_sample = taken(this.sample);
    this.#say(".sample", "Saving it …");
    this.#voice = await sendVoice({ ...fields, audio_sample });
    this.#dialog.close();
  }

  /** Does something of a part of the form, once at a time; what goes wrong is said there. */
  async #attempt(doing, part) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await doing();
    } catch (error) {
      this.#say(part, error.message, true);
    }
    this.#busy = false;
  }

  #say(part, sentence, wrong = false) {
    const told = this.#find(`${part} .told`);
    told.textContent = sentence;
    told.classList.toggle("wrong", wrong);
  }

  #find(selector) {
    return this.#dialog.querySelector(selector);
  }
}

function taken(take) {
  if (!take.file) throw new Error("Record it first, or choose a sound file.");
  return take.file;
}

function languageName(code) {
  return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
}

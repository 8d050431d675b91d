// What stands around the turns: title, why this clip, who else is here, and what happened to it.

import { element } from "./dialogs.js";
import { clock } from "./status.js";

const $ = (selector) => document.querySelector(selector);
const JUDGED = { accepted: "Accepted.", rejected: "Rejected", second: "Somebody asks for a second opinion." };
const ACTIONS = {
  accept: "accepted it", edit: "edited it", reject: "rejected it", comment: "commented on it", second: "asked for a second opinion",
  undo: "took a change back", rename: "renamed a speaker", replace: "replaced words", import: "imported it",
};

export class Facts {
  #shown = null;

  show({ view, state, edited }) {
    put("#clip-title", view.title);
    const { expected, source, confidence } = view;
    const sure = confidence == null ? "" : `, confidence ${confidence.toFixed(2)}`;
    put("#clip-facts", `${clock(state.start)} to ${clock(state.end)}${view.show ? ` of ${view.show}` : ""}; draft: ${source}${sure}${edited ? "; edited, not saved" : ""}`);
    put("#judged", state.verdict ? `${JUDGED[state.verdict]}${state.reason ? `: ${state.reason}.` : ""}` : "Not judged yet.");
    put("#comment-text", state.comment ? `Comment: ${state.comment}` : "");
    if (this.#shown === view) return;
    this.#shown = view;
    const guess = expected ? [`About ${round(expected.errors)} errors and ${round(expected.seconds)} s of work are expected.`] : [];
    list("#why", [...view.why, ...guess]);
    list("#history", view.history.map(({ author, action, at }) => `${new Date(at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}: ${author} ${ACTIONS[action] ?? action}`));
    this.showPeople(view.people);
  }

  showPeople(people) {
    $("#others-part").hidden = !people.length;
    put("#others", people.length ? `${people.join(", ")} ${people.length === 1 ? "has" : "have"} this clip open.` : "");
  }
}

function round(value) {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}

function list(selector, lines) {
  $(selector).replaceChildren(...(lines.length ? lines : ["Nothing yet."]).map((line) => element("li", line)));
}

function put(selector, text) {
  const target = $(selector);
  if (target.textContent !== text) target.textContent = text;
}

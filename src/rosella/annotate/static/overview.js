// The pages beside the desk: progress, and people.

import { element, tell } from "./dialogs.js";
import { dismiss, invite, letInAgain, people, progress } from "./server.js";

const $ = (selector) => document.querySelector(selector);
const NAMES = { substituted: "words changed", inserted: "words added", deleted: "words taken out", speaker: "speakers changed", times: "times moved" };

export async function showProgress() {
  const told = $("#progress-told");
  told.textContent = "Counting …";
  try {
    draw(await progress());
    told.textContent = "";
  } catch (fault) {
    told.textContent = fault.message;
  }
}

export async function showPeople(me) {
  const form = $("#invite");
  form.onsubmit = (event) => {
    event.preventDefault();
    guarded(async () => showLink(await invite(form.role.value), "Send this link; whoever opens it makes an account, once and within a week."));
  };
  await guarded(() => list(me));
}

function showLink({ url }, sentence) {
  const form = $("#invite");
  form.querySelector(".link span").textContent = sentence;
  form.link.value = new URL(url, location).href;
  form.link.parentElement.hidden = false;
  form.link.select();
}

async function list(me) {
  const answer = await people();
  $("#members tbody").replaceChildren(...(answer.people ?? answer).map(({ name, role }) => {
    const row = line([name, role]);
    const cell = element("td");
    const anew = button("New password", `New password for ${name}`, async () => {
      showLink(await letInAgain(name), `Send this link to ${name}; whoever opens it chooses a new password for ${name}, once and within a week. The old one holds until then.`);
    });
    const remove = button("Remove", `Remove ${name}`, async () => {
      if (!confirm(`Remove ${name}? What ${name} corrected stays.`)) return;
      await dismiss(name);
      await list(me);
    });
    cell.append(...(name === me.name ? [anew] : [anew, " ", remove]));
    row.append(cell);
    return row;
  }));
}

function button(text, label, act) {
  const made = element("button", text, { type: "button", "aria-label": label });
  made.onclick = () => guarded(act);
  return made;
}

async function guarded(work) {
  const form = $("#invite");
  tell(form, "");
  form.link.parentElement.hidden = true;
  try {
    await work();
  } catch (fault) {
    tell(form, fault.message);
  }
}

function draw({ hours, people: persons, agreement, kinds, errors_per_hour: rate, hours_left_of_work: work }) {
  const facts = [["Done", `${number(hours.done)} h`], ["Left", `${number(hours.left)} h`], ["All", `${number(hours.all)} h`], ["Work that is left", work == null ? "not known yet" : `about ${number(work)} h`]];
  if (rate != null) facts.push(["Errors corrected per hour of work", number(rate)]);
  $("#hours").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  $("#done").value = hours.all ? hours.done / hours.all : 0;
  $("#by-person tbody").replaceChildren(...persons.map((person) => line([
    person.name, person.clips, number(person.hours), number(person.seconds_per_clip), number(person.seconds_per_second),
  ])));
  const { pairs, word_agreement: alike, speakers } = agreement;
  $("#agreement").textContent = pairs
    ? `${pairs} clips were corrected by two people: ${share(alike)} of the words and ${share(speakers)} of the speakers are the same.`
    : "No clip was corrected by two people yet.";
  $("#kinds").replaceChildren(...Object.entries(NAMES).map(([kind, name]) => element("li", `${kinds[kind] ?? 0} ${name}`)));
}

function line(values) {
  const row = element("tr");
  row.append(...values.map((value) => element("td", String(value))));
  return row;
}

function number(value) {
  return value == null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 0 });
}

function share(value) {
  return value == null ? "an unknown share" : `${(100 * value).toFixed(1)} %`;
}

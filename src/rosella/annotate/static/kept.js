// What outlives the tab: unsaved edits of each clip, what waits to be sent, and which clips were open.

const PREFIX = "rosella.annotate";
const DRAFT = `${PREFIX}.draft.`;
const WAITING = `${PREFIX}.waiting.`;
const VISITED = `${PREFIX}.visited`;
const SPEED = `${PREFIX}.speed`;
const REMEMBERED = 100; // clips in the list

const forgetful = new Map(); // stands in for a store that is full or forbidden
let fails = false;

/** Whether the browser refused to keep something: then it is only in this tab. */
export function refused() {
  return fails;
}

/** Unsaved edits: {clip, person, version, base, state, emptied, at}. */
export function keepDraft(draft) {
  put(DRAFT + draft.clip, draft);
}

export function keptDraft(clip, person) {
  const draft = get(DRAFT + clip);
  return draft?.person === person ? draft : null;
}

export function forgetDraft(clip) {
  drop(DRAFT + clip);
}

/** Newest first. */
export function keptDrafts(person) {
  const drafts = keys(DRAFT).map(get).filter((draft) => draft?.person === person);
  return drafts.sort((a, b) => b.at - a.at);
}

/** Puts an entry at the end of what waits to be sent; returns its place. */
export function enqueue(entry) {
  const last = Number(keys(WAITING).at(-1)?.slice(WAITING.length) ?? 0);
  const place = String(Math.max(Date.now(), last + 1)).padStart(15, "0");
  put(WAITING + place, entry);
  return place;
}

/** What waits, oldest first: [[place, entry], ...]. */
export function queue() {
  return keys(WAITING).map((key) => [key.slice(WAITING.length), get(key)]).filter(([, entry]) => entry);
}

export function change(place, entry) {
  put(WAITING + place, entry);
}

export function unqueue(place) {
  drop(WAITING + place);
}

/** The clips that were open, the newest first: [{id, title, start, done}]. No text: it may have to be forgotten. */
export function visited() {
  return get(VISITED) ?? [];
}

export function visit(clip) {
  const before = visited();
  const { done = "" } = before.find(({ id }) => id === clip.id) ?? {};
  put(VISITED, [{ ...clip, done }, ...before.filter(({ id }) => id !== clip.id)].slice(0, REMEMBERED));
}

export function markDone(id, done) {
  put(VISITED, visited().map((clip) => (clip.id === id ? { ...clip, done } : clip)));
}

export function unvisit(id) {
  put(VISITED, visited().filter((clip) => clip.id !== id));
}

export function speed() {
  return get(SPEED) ?? 1;
}

export function keepSpeed(value) {
  put(SPEED, value);
}

function put(key, value) {
  const text = JSON.stringify(value);
  try {
    localStorage.setItem(key, text);
    forgetful.delete(key);
  } catch {
    fails = true;
    forgetful.set(key, text);
  }
}

function get(key) {
  try {
    return JSON.parse(forgetful.get(key) ?? localStorage.getItem(key));
  } catch {
    return null; // not ours, or a browser that keeps nothing
  }
}

function drop(key) {
  forgetful.delete(key);
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing was kept there.
  }
}

function keys(prefix) {
  const found = new Set(forgetful.keys());
  try {
    for (let at = 0; at < localStorage.length; at++) found.add(localStorage.key(at));
  } catch {
    // As above.
  }
  return [...found].filter((key) => key.startsWith(prefix)).sort();
}

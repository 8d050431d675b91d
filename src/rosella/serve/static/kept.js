// What outlives a reload: the draft, and the last speech.

import { Speech } from "./speech.js";
import { Track } from "./wav.js";

const DRAFT = "rosella.draft";
const STORE = "speech";

/** {turns, voices} as they were kept, or null. */
export function keptDraft() {
  try {
    return JSON.parse(localStorage.getItem(DRAFT));
  } catch {
    return null; // not ours, or a browser that keeps nothing
  }
}

export function keepDraft(draft) {
  try {
    localStorage.setItem(DRAFT, JSON.stringify(draft));
  } catch {
    // A full or forbidden store: the draft stays on the page.
  }
}

/** The speech that was kept last, or null. */
export async function keptSpeech() {
  try {
    const kept = await inStore("readonly", (store) => store.get(STORE));
    return kept ? new Speech({ ...kept, track: new Track(kept.header, kept.rate, kept.samples) }) : null;
  } catch {
    return null;
  }
}

export async function keepSpeech({ track, turns, name, cues }) {
  const kept = { header: track.header, rate: track.rate, samples: track.samples.slice(), turns, name, cues };
  try {
    await inStore("readwrite", (store) => store.put(kept, STORE));
  } catch {
    // As with the draft.
  }
}

async function inStore(mode, ask) {
  const opening = indexedDB.open("rosella", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await settled(opening);
  try {
    return await settled(ask(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

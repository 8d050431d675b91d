// Word for word: what differs between two texts, and how a clean text follows the verbatim one.

/** The words of a text, with the punctuation that clings to them. */
export function words(text) {
  return (text ?? "").split(/\s+/).filter(Boolean);
}

/** The shortest way from one list of words to another: [{kind: "same" | "gone" | "new", word, was, from, to}], where
 * `from` and `to` count in the two lists. */
export function difference(before, after, alike = (a, b) => a === b) {
  const common = table(before, after, alike);
  const steps = [];
  let [from, to] = [0, 0];
  while (from < before.length || to < after.length) {
    if (from < before.length && to < after.length && alike(before[from], after[to])) {
      steps.push({ kind: "same", word: after[to], was: before[from], from: from++, to: to++ });
    } else if (to === after.length || (from < before.length && common[from + 1][to] >= common[from][to + 1])) {
      steps.push({ kind: "gone", word: before[from], from: from++, to });
    } else {
      steps.push({ kind: "new", word: after[to], from, to: to++ });
    }
  }
  return steps;
}

/** How many words the rests of two lists have in common, for each pair of rests. */
function table(before, after, alike) {
  const rows = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1));
  for (let a = before.length - 1; a >= 0; a--) {
    for (let b = after.length - 1; b >= 0; b--) {
      rows[a][b] = alike(before[a], after[b]) ? rows[a + 1][b + 1] + 1 : Math.max(rows[a + 1][b], rows[a][b + 1]);
    }
  }
  return rows;
}

/** The clean text after the verbatim one was edited: the same words change in it; what `dropped` says has no place in it. */
export function follow(before, after, clean, dropped) {
  const kept = new Map(); // the clean word of a verbatim one, by its number
  const own = new Map(); // clean words that stand before it and that the verbatim text lacks
  const old = words(before);
  for (const { kind, word, from } of difference(old, words(clean), (a, b) => bare(a) === bare(b))) {
    if (kind === "same") kept.set(from, word);
    if (kind === "new") own.set(from, [...(own.get(from) ?? []), word]);
  }
  const followed = [];
  let place = -1; // the verbatim word whose own clean words were written last
  for (const { kind, word, from } of difference(old, words(after))) {
    if (from > place) followed.push(...(own.get(from) ?? []));
    place = Math.max(place, from);
    if (kind === "same" && kept.has(from)) followed.push(kept.get(from));
    if (kind === "new" && !dropped(word)) followed.push(word);
  }
  if (place < old.length) followed.push(...(own.get(old.length) ?? []));
  const text = followed.join(" ");
  const [first] = words(after);
  const begins = first && !first.startsWith("(") && first !== first.toLowerCase(); // an event being typed before a word is one with it
  return begins && dropped(first) ? text.slice(0, 1).toUpperCase() + text.slice(1) : text;
}

function bare(word) {
  return word.toLowerCase().replace(/[^\p{L}\p{N}'’-]/gu, "") || word;
}

/** Whether a clean text leaves this word out: an event, a filler, a word broken off. */
export function disfluent(fillers) {
  const known = new Set(fillers);
  return (word) => /^\(|\)\W?$/.test(word) || /\p{L}-[.,?!…]?$/u.test(word) || known.has(bare(word));
}

/** For each turn the steps that lead from the draft to it; turns may have been divided, joined and moved. */
export function draftSteps(draft, turns) {
  if (draft.length === turns.length) {
    return turns.map(({ text }, at) => difference(words(draft[at].text), words(text)));
  }
  const owners = turns.flatMap(({ text }, at) => words(text).map(() => at));
  const all = (list) => list.flatMap(({ text }) => words(text));
  const steps = turns.map(() => []);
  for (const step of difference(all(draft), all(turns))) {
    steps[owners[step.to] ?? Math.max(0, turns.length - 1)]?.push(step); // what is gone stands before what came in its place
  }
  return steps;
}

/** The steps as elements: what went is struck out, what came is underlined. */
export function drawn(steps) {
  const fragment = document.createDocumentFragment();
  for (const run of runs(steps)) {
    const element = document.createElement({ gone: "del", new: "ins", same: "span" }[run.kind]);
    element.textContent = run.words.join(" ");
    fragment.append(element, " ");
  }
  return fragment;
}

function runs(steps) {
  const found = [];
  for (const { kind, word } of steps) {
    if (found.at(-1)?.kind === kind) found.at(-1).words.push(word);
    else found.push({ kind, words: [word] });
  }
  return found;
}

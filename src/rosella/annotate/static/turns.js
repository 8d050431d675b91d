// What can be done to a clip's state: {start, end, turns, verdict, reason, comment}. Each gives a new state, or the same.

export const SHORTEST = 0.05; // seconds that a turn keeps, however its edges are moved
const TOUCHING = 0.0015; // turns nearer than that share their boundary

export function withTurn(state, index, changes) {
  return { ...state, turns: state.turns.map((turn, at) => (at === index ? { ...turn, ...changes } : turn)) };
}

/** Divides a turn in two: its text at `caret`, its time at `second`. */
export function split(state, index, caret, second) {
  const turn = state.turns[index];
  if (turn.end - turn.start < 2 * SHORTEST) return state;
  const middle = rounded(Math.min(turn.end - SHORTEST, Math.max(turn.start + SHORTEST, second)));
  const cut = (text, at) => (text == null ? [null, null] : [text.slice(0, at).trim(), text.slice(at).trim()]);
  const [text, rest] = cut(turn.text, caret);
  const [clean, restClean] = cut(turn.text_clean, cleanCaret(turn, caret));
  const halves = [
    { ...turn, end: middle, text, text_clean: clean },
    { ...turn, start: middle, text: rest, text_clean: restClean },
  ];
  return { ...state, turns: state.turns.toSpliced(index, 1, ...halves) };
}

/** Where in the clean text the caret of the verbatim one is: before the word that follows it, if that is found. */
function cleanCaret({ text, text_clean: clean }, caret) {
  if (clean == null) return 0;
  const following = text.slice(caret).match(/[\p{L}\p{N}'’-]+/gu) ?? [];
  const share = text.length ? (caret / text.length) * clean.length : 0;
  for (const word of following.slice(0, 4)) {
    const places = [...clean.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, "giu"))];
    const near = places.map(({ index }) => index).sort((a, b) => Math.abs(a - share) - Math.abs(b - share));
    if (near.length) return near[0];
  }
  return clean.length;
}

/** Joins a turn with the next, which becomes its speaker's. */
export function glue(state, index) {
  const [turn, next] = state.turns.slice(index, index + 2);
  if (!next) return state;
  const joined = (a, b) => [a, b].filter(Boolean).join(" ");
  const clean = turn.text_clean ?? next.text_clean;
  const one = {
    ...turn,
    end: Math.max(turn.end, next.end),
    text: joined(turn.text, next.text),
    text_clean: clean == null ? null : joined(turn.text_clean ?? turn.text, next.text_clean ?? next.text),
    overlap: turn.overlap && next.overlap,
  };
  return { ...state, turns: state.turns.toSpliced(index, 2, one) };
}

export function remove(state, index) {
  return state.turns.length > 1 ? { ...state, turns: state.turns.toSpliced(index, 1) } : state;
}

export function renameSpeaker(state, before, after) {
  const renamed = ({ speaker, ...turn }) => ({ ...turn, speaker: speaker === before ? after : speaker });
  return { ...state, turns: state.turns.map(renamed) };
}

/** Moves an edge ("start" or "end") of a turn to a second, as far as its neighbours and the clip's limits allow. A
 * neighbour that touches it moves along, and so does the edge of the clip. */
export function moveEdge(state, index, edge, second, limits) {
  const turns = state.turns.map((turn) => ({ ...turn }));
  const turn = turns[index];
  const other = turns[edge === "start" ? index - 1 : index + 1];
  const opposite = edge === "start" ? "end" : "start";
  const touching = other && Math.abs(other[opposite] - turn[edge]) < TOUCHING;
  const wall = wallOf(other, touching, edge, limits);
  const moved = rounded(edge === "start"
    ? Math.min(turn.end - SHORTEST, Math.max(wall, second))
    : Math.max(turn.start + SHORTEST, Math.min(wall, second)));
  const outermost = !other && (Math.abs(state[edge] - turn[edge]) < TOUCHING || (edge === "start" ? moved < state.start : moved > state.end));
  turn[edge] = moved;
  if (touching) other[opposite] = moved;
  return { ...state, turns, ...(outermost ? { [edge]: moved } : {}) };
}

function wallOf(other, touching, edge, limits) {
  if (!other) return limits[edge];
  if (edge === "start") return touching ? other.start + SHORTEST : other.end;
  return touching ? other.end - SHORTEST : other.start;
}

/** Whether two states say the same. */
export function same(a, b) {
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

/** A state with its fields in one order, as the server wants them. */
export function plain({ start, end, turns, verdict = null, reason = null, comment = null }) {
  return {
    start,
    end,
    turns: turns.map(({ start, end, speaker, text, text_clean = null, overlap = false }) => ({ start, end, speaker, text, text_clean, overlap })),
    verdict,
    reason,
    comment,
  };
}

/** Every box of what is to be used empty, where a draft is so wrong that writing anew is quicker. */
export function emptied(state) {
  const empty = (turn) => ({ ...turn, text: "", text_clean: turn.text_clean == null ? null : "" });
  return { ...state, turns: state.turns.map((turn) => (turn.overlap ? turn : empty(turn))) };
}

/** Whether a turn has no words, though it is to be used. */
export function wordless({ text, overlap }) {
  return !overlap && !text.trim();
}

function rounded(second) {
  return Math.round(second * 1000) / 1000;
}

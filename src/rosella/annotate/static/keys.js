// Every key of the page: what it does, in words. The overlay, the buttons' titles and `docs/annotating.md` follow this table.

export const GROUPS = [
  ["The clip", [
    ["accept", "Ctrl+Enter", "Accept it as it is written, and go on to the next"],
    ["save", "Ctrl+S", "Save without accepting"],
    ["skip", "Alt+Enter", "Skip it; what was edited is kept in this browser"],
    ["back", "Alt+Backspace", "Back to the clip before"],
    ["list", "Alt+L", "List of the clips that were open"],
    ["reject", "Alt+X", "Reject it with a reason"],
    ["second", "Alt+Q", "Ask for a second opinion"],
    ["comment", "Alt+C", "Comment on it"],
    ["undo", "Ctrl+Z", "Undo; after the unsaved edits, what was saved"],
    ["redo", "Ctrl+Shift+Z", "Redo"],
    ["merge", "Alt+V", "Compare with what somebody else saved, and merge"],
  ]],
  ["Listening", [
    ["play", "Escape", "Play or pause; Space does so outside a text box"],
    ["turn", "F2", "Play this turn"],
    ["loop", "Shift+F2", "Repeat the selection, or this turn; again: repeat no more"],
    ["rewind", "F8", "One second back"],
    ["forward", "F9", "One second on"],
    ["slower", "Shift+F8", "Slower, to half"],
    ["faster", "Shift+F9", "Faster, to double"],
    ["from", "Alt+U", "Let a selection begin here"],
    ["until", "Alt+I", "Let the selection end here, and repeat it"],
  ]],
  ["Turns", [
    ["down", "Alt+ArrowDown", "To the next turn"],
    ["up", "Alt+ArrowUp", "To the turn before"],
    ["split", "Enter", "Divide the turn at the caret, and its time in the pause nearby, or by length of text"],
    ["splitHere", "Shift+Enter", "Divide the text at the caret and the time at what is heard"],
    ["glue", "Alt+G", "Join the turn with the next"],
    ["remove", "Alt+Delete", "Remove the turn"],
    ["startEarlier", "Alt+J", "Begin 50 ms earlier"],
    ["startLater", "Alt+K", "Begin 50 ms later"],
    ["endEarlier", "Alt+N", "End 50 ms earlier"],
    ["endLater", "Alt+M", "End 50 ms later"],
    ["startEarlierFine", "Alt+Shift+J", "Begin 10 ms earlier"],
    ["startLaterFine", "Alt+Shift+K", "Begin 10 ms later"],
    ["endEarlierFine", "Alt+Shift+N", "End 10 ms earlier"],
    ["endLaterFine", "Alt+Shift+M", "End 10 ms later"],
    ["unusable", "Alt+O", "Mark the turn as unusable (several speak, music, noise), or as usable again"],
  ]],
  ["Speakers", [
    ["speaker1", "Alt+1", "Said by the first speaker"],
    ["speaker2", "Alt+2", "Said by the second speaker"],
    ["speaker3", "Alt+3", "Said by the third speaker"],
    ["speaker4", "Alt+4", "Said by the fourth speaker"],
    ["newSpeaker", "Alt+0", "Said by a new speaker"],
    ["rename", "Alt+R", "Rename a speaker in the whole recording"],
  ]],
  ["Words", [
    ["word", "Alt+A", "Pause and select the word that was just heard, to write another over it; again: the word before"],
    ["nextWord", "Alt+Z", "Select the next word"],
    ["cleanAnew", "Alt+Y", "Make the clean text anew from the verbatim one"],
    ["palette", "Alt+P", "Insert an event or a filler"],
    ["suggestion", "Alt+.", "Take the next suggested word"],
    ["draft", "F4", "Show or hide what the model wrote"],
    ["takeDraft", "Shift+F4", "Put what the model wrote back into this turn"],
    ["search", "Alt+W", "Search and replace words in all clips"],
  ]],
  ["The page", [["help", "F1", "Show these keys; while they are shown, the other keys do nothing"]]],
];

const ALL = GROUPS.flatMap(([, keys]) => keys);
const BY_CHORD = new Map(ALL.map(([does, chord]) => [chord, does]));
const CHORDS = new Map(ALL.map(([does, chord]) => [does, chord]));
const IN_TEXT = new Set(["split", "splitHere"]); // keys that belong to whatever has the focus elsewhere
const PUNCTUATION = { Period: "." };

/** What the pressed keys ask for, or undefined. */
export function asked(event) {
  if (event.isComposing || event.getModifierState("AltGraph")) return undefined; // AltGr writes characters
  const writing = event.target.closest?.("textarea, input, select, button, a, summary");
  if (event.key === " " && !writing && !event.ctrlKey && !event.altKey) return "play";
  const does = BY_CHORD.get(chordOf(event));
  return IN_TEXT.has(does) && !event.target.closest?.("#turns textarea") ? undefined : does;
}

/** The keys of an action as they stand on a keyboard. */
export function shown(chord) {
  return chord.replace("Escape", "Esc").replace("Arrow", "").replaceAll("+", " + ");
}

export function chordFor(does) {
  return CHORDS.get(does);
}

/** Of `aria-keyshortcuts`. */
export function spoken(chord) {
  return chord.replace("Ctrl", "Control");
}

function chordOf(event) {
  const held = [["Ctrl", event.ctrlKey || event.metaKey], ["Alt", event.altKey], ["Shift", event.shiftKey]];
  return [...held.filter(([, down]) => down).map(([name]) => name), nameOf(event)].join("+");
}

/** By what is written on the key; where Alt or Shift make something else of it, by its place. */
function nameOf({ key, code }) {
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  const place = code.match(/^(?:Key|Digit)(.)$/)?.[1] ?? PUNCTUATION[code];
  return place && key.length === 1 ? place : key;
}

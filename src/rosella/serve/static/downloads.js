// A speech as files to take away.

import { srt, vtt } from "./subtitles.js";

const NAME = "dialogue";
const FORMATS = { srt, vtt };

export function downloadSound(track) {
  download(track.file(), "wav");
}

/** `format` is srt or vtt; `nameOf` gives the name that a speaker is shown by. */
export function downloadSubtitles(format, cues, nameOf) {
  const named = cues.map((cue) => ({ ...cue, speaker: nameOf(cue.speaker) }));
  download(new Blob([FORMATS[format](named)], { type: "text/plain" }), format);
}

function download(blob, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${NAME}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when the browser has surely taken it
}

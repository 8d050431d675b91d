// Cues {start, end, speaker, text} as SubRip and WebVTT: at most two lines of 42 characters at once.

const LINE = 42;
const LINES = 2;
const MADE_BY =
  "AI-generated speech. " +
  "Digital source type: http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

/** SubRip has no notation for speakers and none for escaping. */
export function srt(cues) {
  const blocks = shown(cues).map(
    ({ start, end, lines }, at) =>
      `${at + 1}\n${time(start, ",")} --> ${time(end, ",")}\n${lines.join("\n").replaceAll("-->", "→")}\n`,
  );
  return blocks.join("\n");
}

/** WebVTT names who speaks in a voice tag; a note says who made the speech. */
export function vtt(cues) {
  const blocks = shown(cues).map(({ start, end, speaker, lines }) => {
    const voice = `<v ${escaped(speaker.split(/\s+/).join(" "))}>`;
    return `${time(start, ".")} --> ${time(end, ".")}\n${voice}${escaped(lines.join("\n"))}\n`;
  });
  return ["WEBVTT\n", `NOTE ${MADE_BY}\n`, ...blocks].join("\n");
}

/** What is shown at once, from and to which millisecond; a long cue is divided, and its time by characters. */
function shown(cues) {
  return cues.flatMap(({ start, end, speaker, text }) => {
    const parts = divided(text.trim().split(/\s+/).join(" "));
    const whole = parts.join("").length;
    let said = 0;
    return parts.map((part) => {
      const from = Math.round((start + ((end - start) * said) / whole) * 1000);
      said += part.length;
      const to = Math.round((start + ((end - start) * said) / whole) * 1000);
      return { start: from, end: Math.max(to, from + 1), speaker, lines: linesOf(part) };
    });
  });
}

function divided(text) {
  if (!text) return [];
  for (let number = Math.ceil(text.length / (LINE * LINES)); ; number++) {
    const parts = even(text, number);
    if (parts.every((part) => fits(linesOf(part)))) return parts;
  }
}

function fits(lines) {
  return lines.length <= LINES && lines.every((line) => line.length <= LINE);
}

function linesOf(text) {
  return text.length <= LINE ? [text] : even(text, LINES);
}

/** The text as at most `number` parts, the longest as short as can be. */
function even(text, number) {
  const longest = Math.max(...text.split(" ").map((word) => word.length));
  for (let width = Math.min(LINE, longest); ; width++) {
    const parts = wrapped(text, width);
    if (parts.length <= number) return parts;
  }
}

function wrapped(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.pop();
    const longer = line ? `${line} ${word}` : word;
    if (longer.length <= width) lines.push(longer);
    else if (word.length <= width) lines.push(line, word);
    else lines.push(...longer.match(new RegExp(`.{1,${width}}`, "gsu")).map((part) => part.trim()));
  }
  return lines;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function time(milliseconds, point) {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const rest = String(milliseconds % 1000).padStart(3, "0");
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}${point}${rest}`;
}

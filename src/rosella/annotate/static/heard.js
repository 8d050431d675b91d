// What is heard when. Nobody knows, so a turn's time in which something sounds is shared by the length of its text.

const QUIET = 0.05; // of a turn's loudest peak: what stays below is a pause
const PAUSE = 0.1; // seconds of a pause in which a turn may be divided
const NEAR = 0.6; // seconds by which it may lie beside where it is sought
const UNSPACED = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]/u; // scripts that put no spaces between words
const segmenter = Intl.Segmenter && new Intl.Segmenter(undefined, { granularity: "word" });

/** The words of all turns as they are said: [{turn, from, to, second}], where `from` and `to` count characters. A turn
 * without words has an empty one. */
export function spoken(turns, sound) {
  return turns.flatMap((turn, index) => {
    const words = wordsOf(turn.text);
    const sounding = soundingIn(turn, sound);
    const second = (from) => sounding[Math.floor((from / turn.text.length) * sounding.length)] ?? turn.start;
    return (words.length ? words : [{ from: 0, to: 0 }]).map((word) => ({ turn: index, ...word, second: second(word.from) }));
  });
}

/** [{from, to}]: what stands between spaces, and within it the words of scripts without them, where the browser tells those apart. */
function wordsOf(text) {
  return [...text.matchAll(/\S+/g)].flatMap(({ index: from, 0: run }) => {
    const within = segmenter && UNSPACED.test(run) ? [...segmenter.segment(run)].filter(({ isWordLike }) => isWordLike) : [];
    const words = within.map(({ index, segment }) => ({ from: from + index, to: from + index + segment.length }));
    return words.length ? words : [{ from, to: from + run.length }];
  });
}

/** The second at which to divide a turn whose text is divided at a caret: in the longest pause near it, if there is one. */
export function division(turn, caret, sound) {
  const sounding = soundingIn(turn, sound);
  const share = turn.text.length ? Math.min(0.95, Math.max(0.05, caret / turn.text.length)) : 0.5;
  const about = sounding[Math.floor(share * sounding.length)] ?? (turn.start + turn.end) / 2;
  const pauses = sounding.slice(1).map((end, at) => pause(sounding[at] + 1 / sound.rate, end));
  const near = pauses.filter(({ middle, length }) => length > PAUSE && Math.abs(middle - about) < NEAR);
  return near.sort((a, b) => b.length - a.length)[0]?.middle ?? about;
}

function pause(start, end) {
  return { middle: (start + end) / 2, length: end - start };
}

/** The seconds of a turn at which peaks {start, rate, peaks} are louder than its pauses. */
function soundingIn({ start, end }, { start: origin, rate, peaks }) {
  const first = Math.max(0, Math.round((start - origin) * rate));
  const heights = peaks.slice(first, Math.round((end - origin) * rate)).map(([low, high]) => Math.max(-low, high));
  const loud = QUIET * Math.max(...heights);
  return heights.flatMap((height, at) => (height >= loud ? [origin + (first + at) / rate] : []));
}

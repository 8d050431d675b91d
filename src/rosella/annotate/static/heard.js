// Which word is heard when. Nobody knows, so a turn's time in which something sounds is shared by the letters of its words.

const QUIET = 0.05; // of a turn's loudest peak: what stays below is a pause
const LEAST = 2; // letters' time that every word takes besides its own

/** The words of all turns as they are said: [{turn, from, to, second}], where `from` and `to` count characters. A turn
 * without words has an empty one. */
export function spoken(turns, sound) {
  return turns.flatMap((turn, index) => {
    const found = [...turn.text.matchAll(/\S+/g)].map(({ index: from, 0: word }) => ({ turn: index, from, to: from + word.length }));
    const words = found.length ? found : [{ turn: index, from: 0, to: 0 }];
    const sounding = soundingIn(turn, sound);
    const lengths = words.map(({ from, to }) => to - from + LEAST);
    const whole = lengths.reduce((sum, length) => sum + length);
    let before = 0;
    return words.map((word, at) => {
      const second = sounding[Math.floor((before / whole) * sounding.length)] ?? turn.start;
      before += lengths[at];
      return { ...word, second };
    });
  });
}

/** The seconds of a turn at which peaks {start, rate, peaks} are louder than its pauses. */
function soundingIn({ start, end }, { start: origin, rate, peaks }) {
  const first = Math.max(0, Math.round((start - origin) * rate));
  const heights = peaks.slice(first, Math.round((end - origin) * rate)).map(([low, high]) => Math.max(-low, high));
  const loud = QUIET * Math.max(...heights);
  return heights.flatMap((height, at) => (height >= loud ? [origin + (first + at) / rate] : []));
}

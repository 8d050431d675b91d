// Speech that is heard while it is made.

import { Fault } from "./server.js";
import { Speech } from "./speech.js";
import { WavReader } from "./wav.js";

/** Plays the speech of `turns` as its `events` come, and returns it; `begun` and `grown` are told of it meanwhile. */
export async function receive(events, turns, player, { begun, grown }) {
  const reader = new WavReader();
  let take = null;
  for (;;) {
    const { value, done } = await events.next();
    if (done && !take) throw new Fault("The model said nothing.", { again: true });
    if (done) {
      take.finish(value);
      return take;
    }
    reader.push(value);
    if (!reader.track?.length) continue;
    if (take) {
      player.more();
    } else {
      take = new Speech({ track: reader.track, turns });
      begun(take);
      player.play(take.track, { growing: true });
    }
    grown(take);
  }
}

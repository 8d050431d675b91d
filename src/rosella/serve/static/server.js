// What is asked of the server. Whatever goes wrong is thrown as a Fault, whose message is a sentence for people.

export class Fault extends Error {
  /** `again` says whether the same may succeed later, `wait` the seconds until then. */
  constructor(sentence, { again = false, wait = 0 } = {}) {
    super(sentence);
    this.again = again;
    this.wait = wait;
  }
}

const LOST = "The connection to the server was lost. Check that it runs and that you are online, then try again.";

/** Speaks: yields the bytes of a WAV as they come, and returns the closing event, which has `id` and `cues`. */
export async function* speak(request, signal) {
  const body = { response_format: "wav", stream_format: "sse", ...request };
  const response = await ask("/v1/audio/speech", { signal, ...json(body) });
  for await (const event of events(response.body)) {
    if (event.type === "speech.audio.delta") yield fromBase64(event.audio);
    if (event.type === "speech.audio.done") return event;
    if (event.type === "error") throw new Fault(event.error.message, { again: true });
  }
  throw new Fault(LOST, { again: true });
}

export async function listVoices() {
  return (await get("/v1/audio/voices")).data;
}

export async function removeVoice(id) {
  await ask(`/v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** What must be said to agree, in each language: [{language, phrase}, ...]. */
export async function listPhrases() {
  return (await get("/v1/audio/voice_consents/phrases")).data;
}

export async function sendConsent(fields) {
  return (await ask("/v1/audio/voice_consents", form(fields))).json();
}

export async function sendVoice(fields) {
  return (await ask("/v1/audio/voices", form(fields))).json();
}

async function get(path) {
  return (await ask(path)).json();
}

async function ask(path, options) {
  const response = await unlessLost(fetch(path, options));
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const sentence = told?.error?.message ?? `The server answered ${response.status} ${response.statusText}.`;
  const again = response.status === 429 || response.status >= 500;
  throw new Fault(sentence, { again, wait: Number(response.headers.get("Retry-After")) || 0 });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await unlessLost(reader.read());
      if (done) return;
      const parts = (text + value).split(/\r?\n\r?\n/);
      text = parts.pop();
      for (const part of parts) {
        const data = part.match(/^data: ?(.*)$/m);
        if (data) yield JSON.parse(data[1]);
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // lost or stopped: there is nobody left to tell
  }
}

/** Waits for the network; what it throws is a lost connection unless the user stopped it. */
async function unlessLost(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Fault(LOST, { again: true });
  }
}

function json(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function form(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) body.append(name, value);
  return { method: "POST", body };
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

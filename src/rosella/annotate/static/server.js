// What is asked of the server. Whatever goes wrong is thrown as a Fault, whose message is a sentence for people.

export class Fault extends Error {
  /** `status` is 0 where no answer came; `again` says whether the same may succeed later, `wait` the seconds until then. */
  constructor(sentence, { status = 0, again = false, wait = 0, current = null } = {}) {
    super(sentence);
    Object.assign(this, { status, again, wait, current });
  }
}

const LOST = "The server cannot be reached.";
const PATIENCE = 20_000; // milliseconds that an answer may take
let csrf = "";

export async function whoAmI() {
  const me = await get("/api/me");
  csrf = me.csrf;
  return me;
}

export function login(name, password) {
  return change("POST", "/api/login", { name, password });
}

export function logout() {
  return change("POST", "/api/logout", {});
}

export function invitation(token) {
  return get(`/api/invitations/${encodeURIComponent(token)}`);
}

export function join(token, name, password) {
  return change("POST", `/api/invitations/${encodeURIComponent(token)}`, { name, password });
}

export function invite(role) {
  return change("POST", "/api/invitations", { role });
}

/** A link by which somebody gets a new password. */
export function letInAgain(name) {
  return change("POST", `/api/people/${encodeURIComponent(name)}/invitations`, {});
}

export function people() {
  return get("/api/people");
}

export function dismiss(name) {
  return change("DELETE", `/api/people/${encodeURIComponent(name)}`);
}

/** The next clip of the queue, or null when nothing is left. */
export function next(after) {
  return change("POST", "/api/next", after ? { after } : {});
}

export function clip(id) {
  return get(`/api/clips/${encodeURIComponent(id)}`);
}

export async function sound(url) {
  const response = await ask(url, { signal: AbortSignal.timeout(PATIENCE) });
  return unlessLost(response.blob());
}

export { get as peaks };

/** Sends what waits in the outbox; the same `key` twice changes nothing the second time. */
export function send({ method, path, body, key }) {
  return change(method, path, body, { "Idempotency-Key": key });
}

export function speakers(recording) {
  return get(`/api/recordings/${encodeURIComponent(recording)}/speakers`);
}

export function speakerSound(recording, name) {
  return sound(`/api/recordings/${encodeURIComponent(recording)}/speakers/${encodeURIComponent(name)}/audio`);
}

export function search({ text, speaker, whole, case: exact }) {
  return get(`/api/search?${new URLSearchParams({ text, speaker, whole: whole ? 1 : 0, case: exact ? 1 : 0 })}`);
}

export function suggestions(id) {
  return get(`/api/suggestions?${new URLSearchParams({ clip: id })}`);
}

export function check(turns) {
  return change("POST", "/api/check", { turns });
}

export function progress() {
  return get("/api/progress");
}

export function listen(id) {
  return new EventSource(`/api/events?${new URLSearchParams({ clip: id })}`);
}

async function get(path) {
  const response = await ask(path, { signal: AbortSignal.timeout(PATIENCE) });
  return unlessLost(response.json());
}

/** Asks for a change; a session that was renewed elsewhere has another token, which is fetched once. */
async function change(method, path, body, headers = {}) {
  const once = () => ask(path, {
    method,
    headers: { "X-CSRF-Token": csrf, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
  });
  const response = await once().catch(async (fault) => {
    if (fault.status !== 403) throw fault;
    const before = csrf;
    await whoAmI();
    if (csrf === before) throw fault;
    return once();
  });
  return response.status === 204 ? null : unlessLost(response.json());
}

async function ask(path, options) {
  const response = await unlessLost(fetch(path, options));
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const { status } = response;
  throw new Fault(told?.error?.message ?? `The server answered ${status} ${response.statusText}.`, {
    status,
    again: status === 429 || status === 408 || status >= 500,
    wait: Number(response.headers.get("Retry-After")) || 0,
    current: told?.current ?? null,
  });
}

/** Waits for the network; what it throws is a lost connection, or an answer that ends in the middle. */
async function unlessLost(promise) {
  try {
    return await promise;
  } catch {
    throw new Fault(LOST, { again: true });
  }
}

// Requests to our own server, for all pages.

/** What requests that change something carry; a new start of the server has another one. */
export let key = "";

/** The server refused a request, in words. */
export class Refused extends Error {
  constructor(words, status) {
    super(words);
    this.status = status;
  }
}

/** What the page must know; remembers the key. Throws an Error in words. */
export async function start() {
  const answer = await ask("/api/start");
  key = answer.key;
  return answer;
}

export const ask = async (address) => (await answered(fetch(address))).json();
export const post = async (address, values) => (await send(address, JSON.stringify(values), "application/json")).json();
export const send = (address, body, type) =>
  answered(fetch(address, { method: "POST", body, headers: { "Content-Type": type, "X-Key": key } }));

/** The answer of a request. Throws: Refused, or an Error if there was none. */
export async function answered(request) {
  const answer = await request.catch(() => {
    throw new Error("The server does not answer. Is its program still running?");
  });
  if (answer.ok) return answer;
  const words = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  throw new Refused(words.error, answer.status);
}

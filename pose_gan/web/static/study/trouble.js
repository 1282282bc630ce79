// What the page says when the server does not take what it must know.

import { by } from "./page.js";
import { Refused, start } from "./requests.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;
const [FORBIDDEN, NOT_FOUND, CONFLICT, DISK_FULL] = [403, 404, 409, 507];

/** Says words above everything; with a button, waits until it is pressed. */
function say(words, button = "") {
  const [text, go] = by("trouble").children;
  text.textContent = words;
  go.textContent = button;
  go.hidden = !button;
  by("trouble").hidden = !words;
  return new Promise((resolve) => (go.onclick = resolve));
}

/**
 * Does a request until it succeeds. Says in words why it does not; where trying again cannot help, waits for the user.
 *
 * forget: called if the server does not know the rater.
 */
export async function patiently(request, forget = () => {}) {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(1.5 * wait, LONGEST_WAIT_MS)) {
    try {
      const answer = await request();
      say("");
      return answer;
    } catch (error) {
      await help(error, forget, wait);
    }
  }
}

/** Says so if something happens that nobody thought of, so that no rater waits before a page that has stopped. */
async function onFault(event) {
  const fault = event.error ?? event.reason;
  if (!fault?.stack?.includes(location.origin)) return; // of an extension of the browser
  await say(`The page failed (${fault.message}). Nothing is lost.`, "Load the page again");
  location.reload();
}

addEventListener("error", onFault);
addEventListener("unhandledrejection", onFault);

async function help(error, forget, wait) {
  const status = error instanceof Refused ? error.status : 0;
  if (status === CONFLICT) {
    await say(error.message); // for ever
  } else if (status === NOT_FOUND) {
    await say(error.message, "Begin anew");
    forget();
    location.reload();
    await new Promise(() => {});
  } else if (status === DISK_FULL || status >= 500) {
    await say(error.message, "Try again");
  } else if (status && status !== FORBIDDEN) {
    await say(error.message, "Load the page again");
    location.reload();
    await new Promise(() => {});
  } else {
    say(`${error.message} Your answers are kept; the page tries again.`);
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (status === FORBIDDEN) await start().catch(() => {}); // a new start of the server has another key
  }
}

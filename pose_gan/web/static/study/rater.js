// The rater of this browser: what it remembers, and what the server is told.

import { ask, post } from "./requests.js";
import { patiently } from "./trouble.js";

const TOO_LATE = [400, 409]; // the rater went on in another window before this event came

/** A random word of 32 letters and digits. */
function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/** What the browser remembers of a study: {secret, visit, waiting}. Without storage, it lasts as long as the page. */
class Memory {
  constructor(name) {
    this.name = name;
    this.values = {};
    try {
      this.values = JSON.parse(localStorage.getItem(name)) ?? {};
    } catch {}
  }

  keep(values) {
    Object.assign(this.values, values);
    try {
      localStorage.setItem(this.name, JSON.stringify(this.values));
    } catch {}
  }

  forget() {
    this.values = {};
    try {
      localStorage.removeItem(this.name);
    } catch {}
  }
}

export class Rater {
  constructor(study) {
    this.memory = new Memory(`pose-gan study ${study.study}${study.rehearsal ? " rehearsal" : ""}`);
  }

  get isKnown() {
    return Boolean(this.memory.values.secret);
  }

  get address() {
    return `/api/raters/${this.memory.values.secret}`;
  }

  forget() {
    this.memory.forget();
  }

  /** Makes a new rater. */
  async begin() {
    const secret = random();
    const touch = matchMedia("(pointer: coarse)").matches;
    const browser = { agent: navigator.userAgent, language: navigator.language, touch };
    await patiently(() => post("/api/raters", { secret, browser }));
    this.memory.keep({ secret });
  }

  /** Goes on where the rater was: tells what is still to be told, unless it is too late; returns what is left to do. */
  async resume() {
    if (this.memory.values.waiting) await this.deliver(true);
    this.memory.keep({ visit: random() });
    await this.tell({ event: "loaded", window: [innerWidth, innerHeight], pixel_ratio: devicePixelRatio });
    return patiently(() => ask(this.address), () => this.forget());
  }

  /** Tells an event. It is kept until the server has acknowledged it, and then is on its disk. */
  async tell(event) {
    this.memory.keep({ waiting: { visit: this.memory.values.visit, ...event } });
    return this.deliver();
  }

  async deliver(late = false) {
    const event = this.memory.values.waiting;
    const told = () =>
      post(`${this.address}/events`, event).catch((error) => {
        if (!late || !TOO_LATE.includes(error.status)) throw error;
      });
    const answer = await patiently(told, () => this.forget());
    this.memory.keep({ waiting: null });
    return answer;
  }
}

// The server's answers.

import { ask, key, post, send, start } from "./requests.js";

export { start };

const IN_FLIGHT = 2; // questions on their way: while the page paints one answer, the server computes the next
const TRY_LATER = 1013; // the code with which the server closes a connection that is one too many

export const images = (from, text) => ask(`/api/images?start=${from}&count=48&text=${encodeURIComponent(text)}`);
export const walk = async (view) => (await ask(`/api/walk?view=${view}`)).poses;
export const openImage = (number) => post("/api/sources", { image: number });
export const reframe = (source, pose) => post("/api/sources", { source, pose });
export const saveRow = async (source, pose) => (await post("/api/rows", { source, pose })).done;
export const poseFile = async (pose) => (await send("/api/pose", JSON.stringify({ pose }), "application/json")).blob();

/** Uploads a photo. Throws an Error that says in words what it lacks. */
export async function upload(file, limits) {
  if (file.size > limits.bytes) {
    const size = (bytes) => `${Math.round(bytes / 2 ** 20)} MB`;
    throw new Error(`${file.name} has ${size(file.size)}; at most ${size(limits.bytes)} are taken. Save it smaller.`);
  }
  const address = `/api/sources?name=${encodeURIComponent(file.name)}`;
  return (await send(address, file, "application/octet-stream")).json();
}

/** The live connection: the newest question is always the next one; older ones that wait are dropped. */
export class Live {
  /**
   * onPictures(pictures, milliseconds): arrays of RGB; onError(words): the error of a question; onConnection(problem):
   * the connection was made (no words) or lost.
   */
  constructor(pixels, onPictures, onError, onConnection) {
    Object.assign(this, { pixels, onPictures, onError, onConnection });
    this.number = 0;
    this.asked = new Map(); // number → time
    this.waiting = null;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live?key=${key}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.onConnection("");
      this.next();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => {
      this.asked.clear();
      this.onConnection(event.reason || "The connection to the server is lost. Start pose-gan serve again; the page goes on by itself.");
      if (event.code !== TRY_LATER) setTimeout(() => this.again(key), 1000);
    };
    this.socket = socket;
  }

  /** Connects again; a new start of the server has another key, and knows none of our sources. */
  async again(before) {
    const answer = await start().catch(() => null);
    if (answer === null) setTimeout(() => this.again(before), 2000);
    else if (key !== before) location.reload();
    else this.connect();
  }

  /** Whether a question would be sent at once. */
  get isReady() {
    return this.waiting === null && this.asked.size < IN_FLIGHT && this.socket.readyState === WebSocket.OPEN;
  }

  ask(question) {
    this.waiting = question;
    this.next();
  }

  next() {
    if (this.waiting === null || this.asked.size >= IN_FLIGHT || this.socket.readyState !== WebSocket.OPEN) return;
    this.number = (this.number + 1) % 2 ** 32;
    this.asked.set(this.number, performance.now());
    this.socket.send(JSON.stringify({ n: this.number, ...this.waiting }));
    this.waiting = null;
  }

  receive(data) {
    if (typeof data === "string") {
      const { n, error } = JSON.parse(data);
      this.asked.delete(n);
      if (error) this.onError(error);
    } else {
      const n = new DataView(data).getUint32(0);
      const time = performance.now() - (this.asked.get(n) ?? performance.now());
      this.asked.delete(n);
      const pictures = [];
      for (let at = 4; at < data.byteLength; at += 3 * this.pixels) pictures.push(new Uint8Array(data, at, 3 * this.pixels));
      this.onPictures(pictures, time);
    }
    this.next();
  }
}

// A question with two answers, a left and a right one, by key, mouse or touch.

import { picture } from "./pictures.js";
import { isFirst, judging, make } from "./screens.js";

export const KEYS = {
  left: { name: "F", code: "KeyF", arrow: "ArrowLeft", sign: "←" },
  right: { name: "J", code: "KeyJ", arrow: "ArrowRight", sign: "→" },
};
const SIDES = Object.keys(KEYS);
const GAP = 24; // CSS pixels between images
const BESIDE = { row: 210, column: 260 }; // CSS pixels of height that words and keys take

/** The side that a key stands for; letters count by what they are or by their place on the keyboard. */
function sideOf(event) {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return undefined;
  const isKey = ({ name, code, arrow }) => event.key === arrow || event.code === code || event.key.toUpperCase() === name;
  return SIDES.find((side) => isKey(KEYS[side]));
}

/** The keys of a side, in words. */
export function keysOf(side) {
  const key = (text) => make("kbd", { textContent: text });
  return make("span", { className: "keys" }, key(KEYS[side].name), " or ", key(KEYS[side].sign));
}

/** Three images side by side, or the target above; as large as in the study, or as the window allows. */
function place(element, { width, height }) {
  const row = Math.min((innerWidth - 4 * GAP) / 3 / width, (innerHeight - BESIDE.row) / height);
  const column = Math.min((innerWidth - 3 * GAP) / 2 / width, (innerHeight - BESIDE.column) / 2 / height);
  const inRow = row >= column || row >= 1;
  element.classList.toggle("in-row", inRow);
  element.querySelector("h2").textContent = `Which image is more like the one ${inRow ? "in the middle" : "above"}?`;
  const scale = Math.max(Math.min(1, Math.max(row, column)), 0.1);
  element.style.setProperty("--width", `${scale * width}px`);
  element.style.setProperty("--height", `${scale * height}px`);
}

const { ParameterType } = jsPsychModule;

/** jsPsych's plugin. Its time counts from its first frame, which is the one in which the image before it goes. */
export class Choice {
  static info = {
    name: "choice",
    version: "1.0.0",
    parameters: {
      question: { type: ParameterType.STRING },
      left: { type: ParameterType.STRING }, // the answers, and their labels
      right: { type: ParameterType.STRING },
      limit: { type: ParameterType.FLOAT, default: null }, // milliseconds until it goes on without an answer
      target: { type: ParameterType.STRING, default: null }, // addresses of images to compare
      images: { type: ParameterType.STRING, array: true, default: [] }, // left, right
      width: { type: ParameterType.FLOAT, default: 0 },
      height: { type: ParameterType.FLOAT, default: 0 },
    },
    data: {
      answer: { type: ParameterType.STRING }, // null: the limit passed
      reaction_ms: { type: ParameterType.FLOAT },
      by: { type: ParameterType.STRING },
      hidden: { type: ParameterType.BOOL },
    },
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, trial, onLoad) {
    judging(true);
    const element = this.element(trial);
    display.replaceChildren(element);
    const appeared = performance.now();
    const listening = new AbortController();
    const { signal } = listening;
    const resize = () => trial.images.length && place(element, trial);
    resize();
    addEventListener("resize", resize, { signal });
    let hidden = document.hidden;
    document.addEventListener("visibilitychange", () => (hidden = true), { signal });
    onLoad();
    return new Promise((resolve) => {
      const end = (answer, time, by) => {
        listening.abort();
        const reaction_ms = answer === null ? null : Math.max(0, Math.round(10 * (time - appeared)) / 10);
        resolve({ answer, reaction_ms, by, hidden });
      };
      const onKey = (event) => {
        const side = sideOf(event);
        if (!side) return;
        event.preventDefault();
        end(trial[side], event.timeStamp, "key");
      };
      document.addEventListener("keydown", onKey, { capture: true, signal });
      for (const side of SIDES) answerBy(element.querySelector(`[data-side=${side}]`), (time, by) => end(trial[side], time, by));
      if (trial.limit !== null) this.jsPsych.pluginAPI.setTimeout(() => end(null, 0, null), trial.limit);
    });
  }

  element(trial) {
    const answers = SIDES.map((side, number) => {
      const image = trial.images.length ? shownAgain(trial.images[number], `the ${side} image`) : null;
      const label = make("b", { textContent: trial[side] });
      const button = make("button", { className: "answer" }, image, label, keysOf(side));
      button.dataset.side = side;
      return button;
    });
    const target = trial.target && make("div", { className: "target" }, shownAgain(trial.target, "the image to compare with"));
    const question = make("h2", { id: "question", textContent: trial.question });
    const element = make("div", { className: trial.target ? "choice pictures" : "choice", role: "group" }, question, target, ...answers);
    element.setAttribute("aria-labelledby", "question");
    return element;
  }

  simulate(trial, mode, options, onLoad) {
    const side = SIDES[Math.floor(Math.random() * 2)];
    const random = { answer: trial[side], reaction_ms: 400 + 400 * Math.random(), by: "key", hidden: false };
    const data = this.jsPsych.pluginAPI.mergeSimulationData(random, options);
    if (mode === "data-only") {
      onLoad();
      return Promise.resolve(data);
    }
    const answered = this.trial(this.jsPsych.getDisplayElement(), trial, onLoad);
    const pressed = SIDES.find((one) => trial[one] === data.answer);
    if (pressed) this.jsPsych.pluginAPI.pressKey(KEYS[pressed].arrow, data.reaction_ms);
    return answered;
  }
}

/** An image of the study, which the page keeps, as a new element. */
function shownAgain(address, alt) {
  const { src } = picture(address);
  return make("img", { src, alt, draggable: false });
}

/** Calls `end(time, by)` when a button is pressed; the time is that of the first touch. */
function answerBy(button, end) {
  let down = null;
  button.addEventListener("pointerdown", (event) => (down = event));
  button.addEventListener("click", (event) => {
    if (!isFirst(event)) return;
    const kind = event.detail === 0 ? "key" : down?.pointerType || event.pointerType || "mouse";
    const time = event.detail === 0 ? event.timeStamp : (down?.timeStamp ?? event.timeStamp);
    end(time, kind === "pen" ? "touch" : kind);
  });
}

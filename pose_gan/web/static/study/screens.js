// Elements of the page, and its screens of words: a title, paragraphs, and a button that goes on.

const { ParameterType } = jsPsychModule;
const READING_MS = 150; // of simulated raters that are watched
const MARGIN = { width: 16, height: 72 }; // CSS pixels beside the images; above them is the progress

/** A new element with properties and children; children that are null are left out. */
export function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Whether a click is not the second one of a double click, which was not meant for what stands there by now. */
export const isFirst = (click) => click.detail <= 1;

/** Whether the page is grey around the images, with no words but the progress. */
export const judging = (on) => document.body.classList.toggle("judging", on);

/** Shows words, and waits until the button is pressed. */
export function read(element, { title, words = [], more = null, button, after = null }) {
  judging(false);
  return new Promise((resolve) => {
    const go = make("button", { className: "primary large", textContent: button });
    const texts = words.map((text) => make("p", { textContent: text }));
    const body = make("div", { id: "words" }, ...texts, more);
    element.replaceChildren(make("section", { className: "card words" }, make("h1", { textContent: title }), body, go, after ?? ""));
    go.setAttribute("aria-describedby", "words"); // screen readers say them when the button gets the focus
    go.addEventListener("click", (event) => isFirst(event) && resolve());
    go.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  });
}

/** jsPsych's plugin of such a screen. */
export class Words {
  static info = {
    name: "words",
    version: "1.0.0",
    parameters: {
      title: { type: ParameterType.STRING },
      words: { type: ParameterType.STRING, array: true, default: [] },
      more: { type: ParameterType.FUNCTION, default: null }, // makes an element before the button
      after: { type: ParameterType.FUNCTION, default: null }, // makes one after it
      button: { type: ParameterType.STRING, default: "Go on" },
    },
    data: {},
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async trial(display, trial, onLoad) {
    const pressed = read(display, { ...trial, more: trial.more?.(), after: trial.after?.() });
    onLoad();
    await pressed;
    return {};
  }

  async simulate(trial, mode, options, onLoad) {
    if (mode === "data-only") return onLoad();
    const display = this.jsPsych.getDisplayElement();
    const read = this.trial(display, trial, onLoad);
    this.jsPsych.pluginAPI.clickTarget(display.querySelector("button"), READING_MS);
    return read;
  }
}

const needed = ({ width, height }) => ({ width: width + MARGIN.width, height: height + MARGIN.height });

export const fits = (size) => innerWidth >= needed(size).width && innerHeight >= needed(size).height;

/** Waits until the window is large enough, and the user says so. */
export function waitForRoom(element, size) {
  judging(false);
  const { width, height } = needed(size);
  const now = make("p", { role: "status" });
  const go = make("button", { className: "primary large", textContent: "Go on" });
  const words = `The images need a window of ${width} × ${height} pixels. Make it larger, turn the device, zoom out, or press F11.`;
  const text = make("div", {}, make("p", { textContent: words }), now);
  element.replaceChildren(make("section", { className: "card words" }, make("h1", { textContent: "This window is too small" }), text, go));
  const measure = () => {
    go.disabled = !fits(size);
    now.textContent = go.disabled ? `It has ${innerWidth} × ${innerHeight} now.` : "It is large enough now.";
  };
  measure();
  addEventListener("resize", measure);
  return new Promise((resolve) => {
    go.addEventListener("click", () => {
      removeEventListener("resize", measure);
      resolve();
    });
  });
}

/** jsPsych's plugin that waits until the window is large enough. */
export class Room {
  static info = {
    name: "room",
    version: "1.0.0",
    parameters: {
      width: { type: ParameterType.FLOAT }, // of the images, CSS pixels
      height: { type: ParameterType.FLOAT },
    },
    data: {},
  };

  async trial(display, trial, onLoad) {
    const enough = waitForRoom(display, trial);
    onLoad();
    await enough;
    return {};
  }

  async simulate(trial, mode, options, onLoad) {
    onLoad();
  }
}

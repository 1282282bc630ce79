// Screens of words: a title, paragraphs, and a button that goes on.

import { isFirst, judging, make } from "./dom.js";

const READING_MS = 150; // of simulated raters that are watched

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

const { ParameterType } = jsPsychModule;

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

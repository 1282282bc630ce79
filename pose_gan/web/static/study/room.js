// Whether the window is large enough for the images; a rater of a smaller one would see parts of them.

import { judging, make } from "./dom.js";

const MARGIN = { width: 16, height: 72 }; // CSS pixels beside the images; above them is the progress

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
      width: { type: jsPsychModule.ParameterType.FLOAT }, // of the images, CSS pixels
      height: { type: jsPsychModule.ParameterType.FLOAT },
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

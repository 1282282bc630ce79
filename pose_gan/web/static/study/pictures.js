// All images of a rater, fetched before the first one is shown.

import { judging, make } from "./dom.js";
import { answered } from "./requests.js";
import { patiently } from "./trouble.js";

const AT_ONCE = 4; // requests
const loaded = new Map(); // address → image, for the next rater of this page too

/** A loaded image. */
export const picture = (address) => loaded.get(address);

async function load(address) {
  const image = await patiently(async () => {
    const content = await (await answered(fetch(address))).blob();
    const image = make("img", { alt: "", draggable: false, decoding: "sync", src: URL.createObjectURL(content) });
    await image.decode();
    return image;
  });
  loaded.set(address, image);
}

/** jsPsych's plugin that fetches images, and shows how many there are. */
export class Preload {
  static info = {
    name: "preload-pictures",
    version: "1.0.0",
    parameters: { addresses: { type: jsPsychModule.ParameterType.STRING, array: true } },
    data: {},
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async trial(display, trial, onLoad) {
    judging(false);
    const missing = [...new Set(trial.addresses)].filter((address) => !loaded.has(address));
    const bar = make("progress", { max: missing.length || 1, value: 0 });
    bar.setAttribute("aria-label", "images that are loaded");
    display.replaceChildren(make("section", { className: "card words" }, make("h1", { textContent: "Loading the images" }), bar));
    onLoad();
    const next = missing[Symbol.iterator]();
    const one = async () => {
      for (const address of next) {
        await load(address);
        bar.value += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return {};
  }

  async simulate(trial, mode, options, onLoad) {
    if (mode === "data-only") return onLoad(); // nothing is shown
    return this.trial(this.jsPsych.getDisplayElement(), trial, onLoad);
  }
}

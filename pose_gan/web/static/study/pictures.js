// The images of a study: all are fetched before the first one is shown; each is shown for an exact time, counted in
// frames of the screen.

import { answered } from "./requests.js";
import { judging, make } from "./screens.js";
import { patiently } from "./trouble.js";

const { ParameterType } = jsPsychModule;
const AT_ONCE = 4; // requests
const loaded = new Map(); // address → image, for the next rater of this page too
const FIXATION_MS = 500;
const TYPICAL_FRAME_MS = 1000 / 60;

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
    parameters: { addresses: { type: ParameterType.STRING, array: true } },
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

const nextFrame = () => new Promise(requestAnimationFrame);
const after = (time) => new Promise((resolve) => setTimeout(resolve, time));

/** The usual time between two frames while the promise is pending, milliseconds. */
async function frameTime(promise) {
  let pending = true;
  promise.finally(() => (pending = false)).catch(() => {});
  const times = [];
  for (let last = await nextFrame(); pending; ) {
    const now = await nextFrame();
    times.push(now - last);
    last = now;
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] || TYPICAL_FRAME_MS;
}

/** Shows an element from one frame until the frame that is nearest to `duration` later; a hidden tab ends it at once. */
function showFor(element, duration, frame) {
  return new Promise((resolve) => {
    let start = null;
    let last = null;
    let late = 0;
    const end = (now, hidden) => {
      cancelAnimationFrame(request);
      document.removeEventListener("visibilitychange", onVisibility);
      element.classList.remove("shown");
      resolve({ shown_ms: Math.round(10 * (now - start)) / 10, late_frames: late, hidden });
    };
    const onVisibility = () => document.hidden && start !== null && end(performance.now(), true);
    const step = (now) => {
      if (start === null) {
        start = now;
        element.classList.add("shown");
      } else {
        late += Math.max(0, Math.round((now - last) / frame) - 1);
        if (now - start >= duration - frame / 2) return end(now, false);
      }
      last = now;
      request = requestAnimationFrame(step);
    };
    document.addEventListener("visibilitychange", onVisibility);
    let request = requestAnimationFrame(step);
  });
}

/** jsPsych's plugin. Keys and touches change nothing while the image is shown. */
export class TimedPicture {
  static info = {
    name: "timed-picture",
    version: "1.0.0",
    parameters: {
      address: { type: ParameterType.STRING },
      width: { type: ParameterType.FLOAT }, // CSS pixels
      height: { type: ParameterType.FLOAT },
      duration: { type: ParameterType.FLOAT }, // milliseconds
      before: { type: ParameterType.FUNCTION }, // what must have happened before; returns a promise
    },
    data: {
      shown_ms: { type: ParameterType.FLOAT },
      late_frames: { type: ParameterType.INT },
      hidden: { type: ParameterType.BOOL },
    },
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  async trial(display, trial, onLoad) {
    judging(true);
    const image = picture(trial.address);
    image.style.width = `${trial.width}px`;
    image.style.height = `${trial.height}px`;
    image.className = "timed";
    const cross = make("span", { className: "cross", textContent: "+", ariaHidden: "true" });
    display.replaceChildren(make("div", { className: "frame" }, cross, image));
    onLoad();
    const ready = Promise.all([trial.before(), after(FIXATION_MS), image.decode()]);
    const frame = await frameTime(ready);
    await ready;
    return showFor(image, trial.duration, frame);
  }

  async simulate(trial, mode, options, onLoad) {
    if (mode !== "data-only") return this.trial(this.jsPsych.getDisplayElement(), trial, onLoad);
    onLoad();
    await trial.before();
    const data = { shown_ms: trial.duration, late_frames: 0, hidden: false };
    return this.jsPsych.pluginAPI.mergeSimulationData(data, options);
  }
}

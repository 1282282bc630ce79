// The trials of a rater as jsPsych's timeline.

import { Choice, keysOf } from "./choice.js";
import { Preload, TimedPicture } from "./pictures.js";
import { Room, Words, fits, make } from "./screens.js";

const BETWEEN_PAUSES = 40; // images
const BETWEEN_COMPARISONS_MS = 300; // so that a touch is not taken for two
const TITLES = { practice: "Practice", main: "Now it counts", comparison: "Which is more like it?" };
const NAMES = { practice: "Practice", main: "Image", comparison: "Question" };

/**
 * The timeline of what is left to do.
 *
 * study: what the server says of the study. todo: what it says of the rater.
 * onPlace(part, place, count): is called when a trial begins, and without anything when words are shown.
 */
export function timelineOf(study, todo, rater, onPlace) {
  const size = { width: study.width, height: study.height };
  const [tell, onRest] = [(event) => rater.tell(event), () => onPlace()];
  const left = todo.left;
  const sides = { left, right: left === "real" ? "generated" : "real" };
  const screen = (title, words, more = null) => ({ type: Words, title, words, more, on_start: onRest });
  const room = { timeline: [{ type: Room, ...size, on_start: onRest }], conditional_function: () => !fits(size) };
  const addresses = todo.trials.flatMap(({ images, target }) => (target ? [target, ...images] : images));
  const nodes = [room, { type: Preload, addresses, on_start: onRest }];
  if (todo.begun) nodes.push(welcomeBack(screen, todo, sides, rater));
  todo.trials.forEach((trial, number) => {
    const count = todo.counts[trial.part];
    if (trial.place === 1) nodes.push(screen(TITLES[trial.part], explanation(study, trial.part, count), legend(trial.part, sides)));
    else if (number > 0 && isPause(trial, count)) nodes.push(pause(screen, trial.place - 1, count));
    const begin = () => onPlace(NAMES[trial.part], trial.place, count);
    const asked = trial.target ? comparison(trial, tell) : judgement(study, sides, trial, tell);
    nodes.push(room, { timeline: asked.map((node) => ({ ...node, ...size, on_start: begin })) });
  });
  return nodes;
}

/** Pauses cut the main part into equal pieces of about 40 images. */
function isPause({ part, place }, count) {
  const pieces = Math.ceil(count / BETWEEN_PAUSES);
  const ends = Array.from({ length: pieces - 1 }, (_, piece) => Math.round((count * (piece + 1)) / pieces));
  return part === "main" && ends.includes(place - 1);
}

function pause(screen, done, count) {
  const bar = () => {
    const progress = make("progress", { max: count, value: done });
    progress.setAttribute("aria-label", "images that are done");
    return progress;
  };
  return screen("Time for a pause", [`${done} of ${count} images are done. Rest your eyes, and go on when you like.`], bar);
}

function welcomeBack(screen, todo, sides, rater) {
  const count = todo.trials.length;
  const words = [count === 1 ? "One question is left." : `${count} questions are left.`];
  if (todo.interrupted) words.push("An image that was shown before the page was loaded again is left out.");
  const other = () => {
    const button = make("button", { textContent: "I am another person" });
    button.addEventListener("click", () => {
      rater.forget();
      location.reload();
    });
    return button;
  };
  return { ...screen("Welcome back", words, legend(todo.trials[0]?.part, sides)), after: other };
}

function explanation(study, part, count) {
  if (part === "practice") return [`The first ${count} images are for practice: they do not count. Look at the cross in the middle; the image appears there.`];
  if (part === "comparison") {
    return [`${count} questions of another kind follow. You see an image, and two others that should show the same. Choose the one that is more like it. Look as long as you like.`];
  }
  return [`${count} images follow.${count > BETWEEN_PAUSES ? " You can rest in between." : ""} Look at the cross in the middle; the image appears there.`];
}

/** Makes an element that says which key is which answer. */
function legend(part, sides) {
  if (part === "comparison") return null;
  return () => {
    const one = (side) => make("div", {}, make("b", { textContent: sides[side] }), keysOf(side));
    return make("div", { className: "legend" }, one("left"), one("right"));
  };
}

/** An image for its time, then the question. The server knows that it begins before it is shown. */
function judgement(study, sides, trial, tell) {
  let shown = {};
  return [
    {
      type: TimedPicture,
      address: trial.images[0],
      duration: study.display_ms,
      before: () => tell({ event: "begun", trial: trial.trial }),
      on_finish: (data) => (shown = { shown_ms: data.shown_ms, late_frames: data.late_frames, hidden: data.hidden }),
    },
    {
      type: Choice,
      question: "Was the image real or generated?",
      ...sides,
      limit: study.limit_ms,
      simulation_options: { data: trial.rehearsal ?? {} },
      on_finish: ({ answer, reaction_ms, by }) => tell({ event: "answer", trial: trial.trial, answer, reaction_ms, by, ...shown }),
    },
  ];
}

function comparison(trial, tell) {
  return [
    {
      type: Choice,
      question: "Which image is more like the target?",
      left: "left",
      right: "right",
      target: trial.target,
      post_trial_gap: BETWEEN_COMPARISONS_MS,
      images: trial.images,
      simulation_options: { data: trial.rehearsal ?? {} },
      on_finish: ({ answer, reaction_ms, by, hidden }) => tell({ event: "answer", trial: trial.trial, answer, reaction_ms, by, hidden }),
    },
  ];
}

// The page: one rater after the other.

import { by } from "./page.js";
import { Rater } from "./rater.js";
import { start } from "./requests.js";
import { fits, read, waitForRoom } from "./screens.js";
import { timelineOf } from "./timeline.js";
import { patiently } from "./trouble.js";

const SECONDS = { image: 3, comparison: 5 }; // that one takes, roughly
const stage = by("stage");
const study = await patiently(start);
const rater = new Rater(study);
const mode = new URLSearchParams(location.search).get("simulate") === "visual" ? "visual" : "data-only";

function introduction() {
  const seconds = study.display_ms / 1000;
  const words = study.introduction.split(/\n\s*\n/).filter((text) => text.trim());
  const each = `There are ${study.images} images. Each is shown for ${seconds === 1 ? "one second" : `${seconds} seconds`}; then you say whether it was real or generated, with one of two keys or buttons.`;
  words.push(each + (study.limit_ms ? ` You have ${study.limit_ms / 1000} seconds for each answer.` : ""));
  const more = [];
  if (study.practice) more.push(`Some images for practice come first (${study.practice}).`);
  if (study.comparisons) more.push(`At the end come ${study.comparisons} questions which of two images is more like a third one.`);
  const minutes = ((study.images + study.practice) * SECONDS.image + study.comparisons * SECONDS.comparison) / 60;
  more.push(`It takes about ${Math.max(1, Math.round(minutes))} ${minutes < 1.5 ? "minute" : "minutes"}.`);
  words.push(more.join(" "), "Your answers, their times and the kind of your browser are stored on the computer of this study, without your name.");
  return read(stage, { title: "Real or generated?", words, button: "Begin" });
}

function thanks() {
  showProgress();
  const words = ["All your answers are stored. You can close this page, or hand the device to the next person."];
  return read(stage, { title: "Thank you!", words, button: "Next person" });
}

/** Shows how far the rater is; without words: hides it. */
function showProgress(name = "", place = 0, count = 1) {
  const [bar, words] = by("progress").children;
  by("progress").hidden = !name;
  Object.assign(bar, { max: count, value: Math.max(place - 1, 0) });
  words.textContent = name && `${name} ${place} of ${count}`;
}

/** Goes the whole way with a rater. Returns whether more are expected. */
async function accompany() {
  if (!rater.isKnown) {
    if (!study.rehearsal) await introduction();
    if (!study.rehearsal && !fits(study)) await waitForRoom(stage, study);
    await rater.begin();
  }
  const todo = await rater.resume();
  if (todo.finished) {
    rater.forget();
    return true;
  }
  const timeline = timelineOf(study, todo, rater, showProgress);
  stage.replaceChildren();
  if (todo.trials.length) {
    const jsPsych = initJsPsych({ display_element: stage, use_webaudio: false });
    await (study.rehearsal ? jsPsych.simulate(timeline, mode) : jsPsych.run(timeline));
  }
  const { more } = await rater.tell({ event: "finished" });
  rater.forget();
  document.documentElement.dataset.raters = Number(document.documentElement.dataset.raters ?? 0) + 1;
  if (!study.rehearsal) await thanks();
  return more;
}

while (await accompany());
showProgress();
await read(stage, { title: "The rehearsal is over", words: ["All simulated raters are through. You can close this page."], button: "Load the page again" });
location.reload();

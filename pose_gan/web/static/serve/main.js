// The page: what its parts do together.

import * as api from "./api.js";
import { Editor } from "./editor.js";
import { Gallery } from "./gallery.js";
import { by, download, say } from "./page.js";
import { isMissing, mirrored } from "./pose.js";
import { Rate, Screen } from "./screen.js";
import { Walker } from "./walker.js";

const start = await api.start().catch((error) => {
  say(by("message"), error.message, true);
  throw error;
});
document.documentElement.style.setProperty("--ratio", `${start.size[1]} / ${start.size[0]}`);
document.documentElement.style.setProperty("--wide", start.size[1] / start.size[0]);
by("about").textContent = `${start.about || "a generator"} · ${start.size[0]}×${start.size[1]} pixels`;

let source = null; // what the server said of it
let gallery = null;
const rate = new Rate(by("rate"));
const [result, ghost] = [by("result"), by("ghost")].map((canvas) => new Screen(canvas, start.size));
const figures = [...document.querySelectorAll("#pictures figure")].filter((figure) => start.layers.includes(figure.dataset.layer) || figure.remove());
const screens = new Map(figures.map((figure) => [figure.dataset.layer, new Screen(figure.querySelector("canvas"), start.size)]));

const sourceEditor = new Editor(by("source-skeleton"), start, by("source-missing"), "skeleton of the source", sourceChanged);
const poseEditor = new Editor(by("pose-skeleton"), start, by("pose-missing"), "skeleton of the pose", poseChanged, (words) => (by("pose-joint").textContent = words));
poseEditor.keepLengths = by("keep-lengths").checked;
const walker = new Walker(start, (pose) => { poseEditor.show(pose); ask(); }, () => sourceEditor.pose, () => live.isReady);
const live = new api.Live(start.size[0] * start.size[1], onPictures, onError, onConnection);

// ---------------------------------------------------------------------------------------- live pictures

function ask() {
  if (!source || !poseEditor.pose || !sourceEditor.pose) return;
  const open = by("layers").open;
  live.ask({
    source: source.id,
    source_pose: rounded(sourceEditor.pose),
    pose: rounded(poseEditor.pose),
    layers: open ? [...screens.keys()] : [],
    part: open && by("part").value !== "" ? Number(by("part").value) : null,
  });
}

const rounded = (pose) => pose.map((joint) => joint.map((value) => Math.round(value * 100) / 100));

function onPictures([generated, ...layers], milliseconds) {
  result.paint(generated);
  ghost.paint(generated);
  [...screens.values()].forEach((screen, number) => layers[number] && screen.paint(layers[number]));
  if (layers.length) by("pictures").classList.remove("waiting");
  by("result").hidden = by("download").hidden = false;
  by("download").disabled = false;
  by("result-empty").hidden = true;
  rate.count(milliseconds);
  sayWhatLacks();
}

function sayWhatLacks() {
  const lacking = start.required.filter((joint) => isMissing(poseEditor.pose[joint])).map((joint) => start.joints[joint].label);
  say(by("result-note"), lacking.length ? `The pose lacks ${lacking.join(", ")}: without them, the torso cannot be placed.` : "", true);
}

function onError(words) {
  say(by("result-note"), words, true);
}

function onConnection(problem) {
  say(by("message"), problem, true);
  if (!problem) ask();
}

// ------------------------------------------------------------------------------------- source and pose

async function take(promise) {
  by("stage").classList.add("waiting");
  try {
    return await promise;
  } catch (error) {
    say(by("source-note"), error.message, true);
    return null;
  } finally {
    by("stage").classList.remove("waiting");
  }
}

async function takeSource(promise, keepPose = true) {
  const answer = await take(promise);
  if (!answer) return;
  source = answer;
  const picture = by("source-picture");
  picture.src = `/api/sources/${source.id}`;
  picture.alt = `the source, ${source.name}`;
  picture.hidden = false;
  by("source-empty").hidden = true;
  by("source-name").textContent = source.name;
  by("reframe").hidden = !source.frames;
  by("save").disabled = !start.saves;
  say(by("source-note"), source.note, true);
  showSource();
  sourceEditor.set(source.pose ?? start.joints.map(() => [-1, -1]));
  by("source-undo").hidden = true;
  if (!poseEditor.pose || !keepPose) takePose(sourceEditor.pose);
  if (walker.playing) walker.fit();
  ask();
}

function takePose(pose) {
  stopWalk();
  by("pose-skeleton").removeAttribute("hidden");
  by("pose-empty").hidden = true;
  poseEditor.set(pose, true);
  poseChanged();
}

function poseChanged() {
  stopWalk();
  by("pose-undo").disabled = !poseEditor.history.length;
  ask();
}

function sourceChanged() {
  by("source-undo").hidden = !sourceEditor.history.length;
  ask();
}

function showSource() {
  by("source-skeleton").toggleAttribute("hidden", !by("show-source").checked || !source);
}

async function choose(image) {
  const as = document.querySelector("input[name=taken]:checked").value;
  if (as === "source") {
    await takeSource(api.openImage(image.number));
    if (source) gallery.mark("is-source", image.number);
    return;
  }
  const answer = await take(api.openImage(image.number));
  if (!answer) return;
  if (!answer.found) return say(by("source-note"), `${image.name} has no pose to copy. ${answer.note}`, true);
  takePose(answer.pose);
  gallery.mark("is-pose", image.number);
}

function uploadFile(file) {
  if (file) takeSource(api.upload(file, start.limits));
}

function stopWalk() {
  if (walker.playing) poseEditor.draw();
  walker.stop();
  by("walk").setAttribute("aria-pressed", "false");
  by("walk").textContent = "▶ Walk";
}

// ------------------------------------------------------------------------------------------- controls

by("upload").addEventListener("change", (event) => {
  uploadFile(event.target.files[0]);
  event.target.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  by("source-card").addEventListener(kind, (event) => {
    event.preventDefault();
    by("source-card").classList.toggle("over", kind === "dragover");
    if (kind === "drop") uploadFile(event.dataTransfer.files[0]);
  });
}
by("reframe").addEventListener("click", () => takeSource(api.reframe(source.id, sourceEditor.pose), false));
by("source-undo").addEventListener("click", () => sourceEditor.undo());
by("pose-undo").addEventListener("click", () => poseEditor.undo());
by("show-source").addEventListener("change", showSource);
by("keep-lengths").addEventListener("change", (event) => (poseEditor.keepLengths = event.target.checked));
by("show-ghost").addEventListener("change", (event) => (by("ghost").hidden = !event.target.checked));
by("as-source").addEventListener("click", () => sourceEditor.pose && takePose(sourceEditor.pose));
by("mirror").addEventListener("click", () => poseEditor.pose && takePose(mirrored(poseEditor.pose, start.mirror, start.size[1])));
by("download-pose").addEventListener("click", async () => {
  const file = poseEditor.pose && (await take(api.poseFile(poseEditor.pose)));
  if (file) download(file, "pose.csv");
});
by("download").addEventListener("click", () => by("result").toBlob((blob) => download(blob, "generated.png")));
by("save").addEventListener("click", async () => {
  const words = await take(api.saveRow(source.id, sourceEditor.pose));
  if (words) say(by("source-note"), `Saved. ${words}`);
});
by("walk").addEventListener("click", async () => {
  if (walker.playing) return poseChanged();
  if (!source) return say(by("message"), "Choose a person first.");
  poseEditor.remember();
  by("walk").setAttribute("aria-pressed", "true");
  by("walk").textContent = "❚❚ Stop";
  await walker.play(Number(by("walk-view").value));
});
by("walk-view").addEventListener("input", (event) => {
  by("walk-degrees").textContent = `${event.target.value}°`;
  if (walker.playing) walker.look(Number(event.target.value));
});
by("layers").addEventListener("toggle", () => {
  by("pictures").classList.add("waiting");
  ask();
});
by("part").addEventListener("change", ask);

// ---------------------------------------------------------------------------------------------- begin

by("walking").hidden = !start.walks;
by(start.saves ? "save-hint" : "save-how").hidden = false;
by("save-file").textContent = start.saves;
const parts = start.parts.length === start.masks.length ? start.parts : [];
by("part").append(...parts.map((name, number) => new Option(name.replaceAll("_", " "), number)));
by("part").closest(".row").hidden = !parts.length;
if (!start.layers.includes("deformed_source")) {
  say(by("no-parts"), `This generator (warp_skip ${start.skips}) moves no parts by the poses, so there is no deformed source.`);
}
if (start.images) {
  by("choose-or-drop").textContent = "Drop a photo here, choose one below, or take one of the images.";
  gallery = new Gallery(by("images"), choose, (words) => say(by("message"), words, true));
  const posed = (await gallery.load(true)).filter((image) => image.pose);
  if (posed.length) {
    await takeSource(api.openImage(posed[0].number));
    gallery.mark("is-source", posed[0].number);
  }
  if (posed.length > 1) {
    const other = await take(api.openImage(posed[1].number));
    if (other?.found) takePose(other.pose);
    gallery.mark("is-pose", posed[1].number);
  }
}
document.documentElement.dataset.ready = "";

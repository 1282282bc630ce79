// A skeleton on a picture, with joints to drag: with the mouse, by touch, or with the keyboard.

import { copyOf, dragged, isMissing, isOutside, MISSING, moved, placeFor, treeOf } from "./pose.js";

const SVG = "http://www.w3.org/2000/svg";
const REACH = { mouse: 14, pen: 16, touch: 26 }; // CSS pixels from a joint within which it is grabbed
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const HISTORY = 100;

export class Editor {
  /**
   * svg: the element that is filled; start: the server's description; missing: the element for missing joints;
   * onChange(): the user changed the pose; onJoint(words): the joint under the hand.
   */
  constructor(svg, start, missing, what, onChange, onJoint = () => {}) {
    Object.assign(this, { svg, start, missing, what, onChange, onJoint });
    this.tree = treeOf(start.edges, start.joints.length);
    this.keepLengths = false;
    this.pose = null;
    this.history = [];
    this.build();
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  /** Shows a pose. The user can undo it if `undoable`. */
  set(pose, undoable = false) {
    if (undoable) this.remember();
    else this.history = [];
    this.pose = copyOf(pose);
    this.draw();
  }

  /** Shows a pose of an animation: what can be undone stays, and labels wait for its end. */
  show(pose) {
    this.pose = copyOf(pose);
    this.draw(false);
  }

  change(pose) {
    this.pose = pose;
    this.draw();
    this.onChange();
  }

  remember() {
    if (!this.pose) return;
    this.history.push(copyOf(this.pose));
    if (this.history.length > HISTORY) this.history.shift();
  }

  undo() {
    if (this.history.length) this.change(this.history.pop());
  }

  // ------------------------------------------------------------------------------------------- drawing

  build() {
    const [height, width] = this.start.size;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("role", "group");
    this.svg.setAttribute("aria-label", this.what);
    this.lines = this.start.edges.map(([, , colour]) => {
      const shadow = this.element("line", { class: "shadow" });
      return [shadow, this.element("line", { class: "limb", stroke: colour })];
    });
    this.joints = this.start.joints.map(({ label }, joint) => {
      const group = this.element("g", { class: "joint", tabindex: 0, role: "button", "aria-roledescription": "joint" });
      group.append(this.element("circle", { class: "reach" }), this.element("circle", { class: "dot" }));
      group.append(document.createElementNS(SVG, "title"));
      group.querySelector("title").textContent = label;
      group.addEventListener("keydown", (event) => this.onKey(event, joint));
      group.addEventListener("focus", () => this.onJoint(this.words(joint)));
      group.addEventListener("pointerenter", () => this.onJoint(this.words(joint)));
      return group;
    });
    this.svg.append(...this.lines.map(([shadow]) => shadow), ...this.lines.map(([, line]) => line), ...this.joints);
    this.buttons = this.start.joints.map(({ label }, joint) => {
      const button = document.createElement("button");
      button.textContent = `+ ${label}`;
      button.addEventListener("click", () => this.bringBack(joint));
      return button;
    });
    this.missing.append(...this.buttons);
    this.svg.addEventListener("pointerdown", (event) => this.onDown(event));
    this.svg.addEventListener("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, () => (this.grabbed = null));
  }

  element(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  words(joint) {
    const [y, x] = this.pose[joint].map(Math.round);
    const where = isOutside(this.pose[joint], this.start.size) ? "outside of the picture" : `${x} from the left, ${y} from the top`;
    return `${this.start.joints[joint].label}: ${where}`;
  }

  /** Pixels of the generator's image per CSS pixel. */
  get unit() {
    return this.start.size[1] / (this.svg.clientWidth || this.start.size[1]);
  }

  draw(withLabels = true) {
    if (!this.pose) return;
    const [height, width] = this.start.size;
    const unit = this.unit;
    // A joint that was turned out of the picture is shown at its border
    const shown = ([y, x]) => [Math.min(Math.max(x, 0), width - 1) + 0.5, Math.min(Math.max(y, 0), height - 1) + 0.5];
    this.start.edges.forEach(([a, b], number) => {
      const both = !isMissing(this.pose[a]) && !isMissing(this.pose[b]);
      for (const line of this.lines[number]) {
        line.toggleAttribute("hidden", !both);
        if (!both) continue;
        const [[x1, y1], [x2, y2]] = [shown(this.pose[a]), shown(this.pose[b])];
        for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) line.setAttribute(name, value);
      }
    });
    let anyMissing = false;
    this.pose.forEach((joint, number) => {
      const group = this.joints[number];
      const absent = isMissing(joint);
      anyMissing ||= absent;
      group.toggleAttribute("hidden", absent);
      this.buttons[number].hidden = !absent;
      this.buttons[number].classList.toggle("needed", this.start.required.includes(number));
      if (absent) return;
      const [cx, cy] = shown(joint);
      const [reach, dot] = group.querySelectorAll("circle");
      for (const [circle, radius] of [[reach, 16], [dot, this.svg.clientWidth < 220 ? 4.5 : 6]]) {
        circle.setAttribute("cx", cx);
        circle.setAttribute("cy", cy);
        circle.setAttribute("r", radius * unit);
      }
      group.classList.toggle("outside", isOutside(joint, this.start.size));
      if (withLabels) group.setAttribute("aria-label", this.words(number));
    });
    this.missing.hidden = !anyMissing;
  }

  // -------------------------------------------------------------------------------------------- changes

  place(event) {
    const box = this.svg.getBoundingClientRect();
    const [height, width] = this.start.size;
    return [((event.clientY - box.top) / box.height) * height - 0.5, ((event.clientX - box.left) / box.width) * width - 0.5];
  }

  inside([y, x]) {
    const [height, width] = this.start.size;
    return [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
  }

  nearest([y, x], reach) {
    let [best, distance] = [-1, reach];
    this.pose.forEach((joint, number) => {
      if (isMissing(joint)) return;
      const [jy, jx] = this.inside(joint);
      const d = Math.hypot(jy - y, jx - x) / this.unit;
      if (d < distance) [best, distance] = [number, d];
    });
    return best;
  }

  onDown(event) {
    if (!this.pose || event.button !== 0) return;
    const at = this.place(event);
    const joint = this.nearest(at, REACH[event.pointerType] ?? REACH.mouse);
    if (joint < 0 && event.pointerType === "touch") return; // lets the finger scroll the page
    event.preventDefault();
    this.remember();
    this.grabbed = { joint, at, pose: copyOf(this.pose) };
    this.svg.setPointerCapture(event.pointerId);
    if (joint >= 0) this.joints[joint].focus({ preventScroll: true });
  }

  onMove(event) {
    if (!this.grabbed) return;
    const { joint, at, pose } = this.grabbed;
    const now = this.place(event);
    if (joint < 0) return this.change(moved(pose, now[0] - at[0], now[1] - at[1]));
    const to = this.inside([pose[joint][0] + now[0] - at[0], pose[joint][1] + now[1] - at[1]]);
    this.change(dragged(pose, joint, to, this.tree, this.keepLengths));
    this.onJoint(this.words(joint));
  }

  onKey(event, joint) {
    if (event.key in ARROWS) {
      const step = event.shiftKey ? 10 : 1;
      const [dy, dx] = ARROWS[event.key].map((value) => value * step);
      this.remember();
      this.change(dragged(this.pose, joint, this.inside([this.pose[joint][0] + dy, this.pose[joint][1] + dx]), this.tree, this.keepLengths));
      this.onJoint(this.words(joint));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.remember();
      const pose = copyOf(this.pose);
      pose[joint] = [...MISSING];
      this.change(pose);
      this.buttons[joint].focus();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      this.undo();
    } else {
      return;
    }
    event.preventDefault();
  }

  bringBack(joint) {
    this.remember();
    const pose = copyOf(this.pose);
    pose[joint] = placeFor(joint, pose, this.start.pose, this.tree, this.start.sides, this.start.size);
    this.change(pose);
    this.joints[joint].focus();
  }
}

// Plays a walk: the pose follows the clock, so its speed does not depend on the server's.

import { walk } from "./api.js";
import { between, fitted } from "./pose.js";

const CYCLE = 1300; // milliseconds

export class Walker {
  /**
   * onPose(pose): show this pose; person(): the pose whose size and place the walk takes; isReady(): whether the next
   * pose would be answered at once. Poses that nobody would see are not drawn.
   */
  constructor(start, onPose, person, isReady) {
    Object.assign(this, { start, onPose, person, isReady });
    this.playing = false;
    this.view = null;
  }

  /** Loads the walk seen from a direction in degrees. */
  async look(view) {
    if (this.view === view) return;
    this.view = view;
    this.raw = await walk(view);
    this.fit();
  }

  fit() {
    if (this.raw) this.poses = fitted(this.raw, this.person(), this.start, this.start.size);
  }

  async play(view) {
    await this.look(view);
    this.fit();
    this.playing = true;
    const begin = performance.now();
    const step = () => {
      if (!this.playing) return;
      if (this.isReady()) this.onPose(between(this.poses, (performance.now() - begin) / CYCLE));
      requestAnimationFrame(step);
    };
    step();
  }

  stop() {
    this.playing = false;
  }
}

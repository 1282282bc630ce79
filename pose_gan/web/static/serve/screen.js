// Pictures on canvases, and how many of them come.

/** Paints RGB bytes on a canvas. */
export class Screen {
  constructor(canvas, [height, width]) {
    Object.assign(canvas, { width, height });
    this.context = canvas.getContext("2d");
    this.image = new ImageData(width, height);
    this.image.data.fill(255);
  }

  paint(rgb) {
    const { data } = this.image;
    for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
      data[to] = rgb[from];
      data[to + 1] = rgb[from + 1];
      data[to + 2] = rgb[from + 2];
    }
    this.context.putImageData(this.image, 0, 0);
  }
}

/** Images per second over the last second, and the time of the last one. */
export class Rate {
  constructor(element) {
    this.element = element;
    this.times = [];
  }

  count(milliseconds) {
    const now = performance.now();
    this.times = this.times.filter((time) => now - time < 1000);
    this.times.push(now);
    this.element.dataset.rate = this.times.length;
    if (now - (this.shown ?? 0) < 250) return;
    this.shown = now;
    const rate = this.times.length > 5 ? `${this.times.length} images/s, ` : "";
    this.element.textContent = `${rate}${Math.round(milliseconds)} ms`;
  }
}

// The images of the server's folder.

import { images } from "./api.js";

export class Gallery {
  /** onChoose(image): an image was taken; `image.number`, `image.name`. */
  constructor(root, onChoose, onError) {
    Object.assign(this, { onChoose, onError });
    this.list = root.querySelector("#thumbnails");
    this.count = root.querySelector("#images-count");
    this.more = root.querySelector("#more");
    this.find = root.querySelector("#find");
    this.more.addEventListener("click", () => this.load());
    this.find.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(true), 200);
    });
    root.hidden = false;
  }

  /** Shows the next images, or the first ones anew. Returns them. */
  async load(anew = false) {
    const text = this.find.value.trim();
    const from = anew ? 0 : this.list.childElementCount;
    const answer = await images(from, text).catch((error) => this.onError(error.message));
    if (!answer || text !== this.find.value.trim()) return [];
    if (anew) this.list.replaceChildren();
    this.list.append(...answer.images.map((image) => this.button(image)));
    this.more.hidden = this.list.childElementCount >= answer.total;
    this.count.textContent = answer.total ? `${answer.total}` : "none has such a name";
    return answer.images;
  }

  button(image) {
    const [button, picture, name] = ["button", "img", "span"].map((tag) => document.createElement(tag));
    picture.src = `/api/images/${image.number}`;
    picture.loading = "lazy";
    picture.alt = "";
    name.textContent = image.name;
    button.title = image.pose ? image.name : `${image.name} (its pose is not known yet)`;
    button.dataset.number = image.number;
    button.append(picture, name);
    button.addEventListener("click", () => this.onChoose(image));
    return button;
  }

  /** Marks the images that are the source and the pose now. */
  mark(what, number) {
    for (const button of this.list.children) {
      button.classList.toggle(what, Number(button.dataset.number) === number);
    }
  }
}

// Elements of the page.

/** A new element with properties and children; children that are null are left out. */
export function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Whether a click is not the second one of a double click, which was not meant for what stands there by now. */
export const isFirst = (click) => click.detail <= 1;

/** Whether the page is grey around the images, with no words but the progress. */
export const judging = (on) => document.body.classList.toggle("judging", on);

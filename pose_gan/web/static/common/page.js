// Words and files for the user, for all pages.

export const by = (id) => document.getElementById(id);

/** Shows words in a note; none: hides it. */
export function say(element, words, bad = false) {
  element.textContent = words ?? "";
  element.hidden = !words;
  element.classList.toggle("bad", bad);
}

/** Gives the user a file. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

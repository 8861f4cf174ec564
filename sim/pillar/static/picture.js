// The camera's picture, twice a second while somebody can see it.

const PAUSE_MS = 500;
const AFTER_ERROR_MS = 2000;

/** Keeps `image` up to date. */
export function watch(image) {
  let number = 0;
  const load = () => {
    if (document.hidden) document.addEventListener("visibilitychange", load, { once: true });
    else image.src = `picture.jpg?${number++}`;
  };
  image.addEventListener("load", () => setTimeout(load, PAUSE_MS));
  image.addEventListener("error", () => setTimeout(load, AFTER_ERROR_MS));
  load();
}

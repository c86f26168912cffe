// Elements built without HTML strings, so that nothing from a photo or a person is ever read as markup.

const isThere = (child) => child !== null && child !== undefined && child !== false && child !== '';

// Appends the children, except those that are false, empty or missing.
export function put(parent, ...children) {
  parent.append(...children.flat(2).filter(isThere));
  return parent;
}

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  return put(element, ...children);
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Returns a list of names and values, without those that are unknown.
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return el('dl', {}, known.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

// Runs `work` one call at a time, with a pause in between. Calls that arrive meanwhile are merged into one afterwards.
export function calmly(work, pause) {
  let state = 'idle';
  const go = async () => {
    state = 'busy';
    await work().catch(() => {});
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    const again = state === 'asked';
    state = 'idle';
    if (again) go();
  };
  return () => {
    if (state === 'idle') go();
    else state = 'asked';
  };
}

// Shows a message for a few seconds, and announces it to screen readers.
let silence;
export function say(text) {
  const place = document.getElementById('said');
  place.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { place.textContent = ''; }, 6000);
}

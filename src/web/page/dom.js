// Elements without strings of markup: nothing that comes from a photo or a person is ever read as HTML.

const isThere = (child) => child !== null && child !== undefined && child !== false && child !== '';

// What is false, empty or not there is left out.
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

// A list of names and values; what is unknown is left out.
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return el('dl', {}, known.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

// Does at most one thing at a time, and pauses in between. What is asked for meanwhile is done once, afterwards.
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

// Tells what has happened, for the eye and for a screen reader.
let silence;
export function say(text) {
  const place = document.getElementById('said');
  place.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { place.textContent = ''; }, 6000);
}

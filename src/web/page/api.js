// Requests to the device. A failed one throws an error with the device's explanation.

export class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(method, path, body, type) {
  let response;
  try {
    response = await fetch(path, { method, body, headers: type ? { 'Content-Type': type } : {}, cache: 'no-store' });
  } catch {
    throw new Refused(0, '');
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer.detail ?? response.statusText, Number(response.headers.get('Retry-After')));
  return answer;
}

export const get = (path) => ask('GET', `/api/v1/${path}`);
export const send = (method, path, value) => ask(method, `/api/v1/${path}`, JSON.stringify(value), 'application/json');
// Sends a photo. If the device is busy, it says when to try again.
export async function upload(photo) {
  const form = new FormData();
  form.append('photo', photo, photo.name);
  for (;;) {
    try {
      return await ask('POST', '/api/v1/photos', form);
    } catch (error) {
      if (error.status !== 429 || !error.retryAfter) throw error;
      await new Promise((resolve) => { setTimeout(resolve, error.retryAfter * 1000); });
    }
  }
}
export const searchPhoto = (photo, query) => ask('POST', `/api/v1/search?${query}`, photo, 'application/octet-stream');
export const file = (name) => fetch(`/page/${name}`).then((response) => response.json());

// Calls `hear` with each hint of the live stream, and with `{type: 'again'}` when hints may have been missed.
let stream;
export function listen(hear) {
  let wasOpen = false;
  stream?.close();
  const own = new EventSource('/api/v1/events');
  stream = own;
  own.addEventListener('open', () => {
    if (wasOpen) hear({ type: 'again' });
    wasOpen = true;
  });
  own.addEventListener('message', (event) => hear(JSON.parse(event.data)));
  own.addEventListener('error', async () => {
    hear({ type: 'silent' });
    if (own.readyState !== EventSource.CLOSED) return;
    await new Promise((resolve) => { setTimeout(resolve, 5000); });
    if (own !== stream) return;
    // Does not listen again if the visitor has to pair first.
    if (await hear({ type: 'again' }) !== false) listen(hear);
  });
}

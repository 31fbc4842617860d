// Requests with a body, whose progress is told.

const BUSY = 503;
const TRIES = 5;

/** The answer to a body: { status, data, header(name) }. `told` is called with the share
 * that was sent, and with null while the service works. Asks again if it is busy; rejects
 * with an Error of one line if it refuses. */
export async function send(method, url, body, { signal, told = () => {} } = {}) {
  for (let tries = 1; ; tries++) {
    const request = await sent(method, url, body, signal, told);
    if (request.status >= 200 && request.status < 300)
      return { data: request.response, header: (name) => request.getResponseHeader(name) };
    const retryAfter = Number(request.getResponseHeader("Retry-After"));
    if (request.status !== BUSY || !retryAfter || tries === TRIES) {
      const text = (await request.response?.text())?.trim();
      const error = new Error(text || `status ${request.status}`);
      throw Object.assign(error, { status: request.status });
    }
    await pause(1000 * retryAfter, signal);
  }
}

function sent(method, url, body, signal, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // which tells the progress of what is sent
    request.open(method, url);
    request.responseType = "blob";
    request.upload.onprogress = ({ loaded, total }) => told(loaded / total);
    request.upload.onload = () => told(null);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Error("the service cannot be reached"));
    request.onabort = () => reject(signal.reason);
    if (signal?.aborted) return reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

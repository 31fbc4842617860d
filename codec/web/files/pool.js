// Workers for the float networks, as many as the machine has cores, and what waits for
// them.

import { compileKernels } from "./kernels.js";

const WORKERS_MAX = 8;

export class Pool {
  constructor() {
    this.size = Math.min(navigator.hardwareConcurrency ?? 2, WORKERS_MAX);
    this.waiting = [];
    this.workers = [];
  }

  async start() {
    this.module ??= await compileKernels();
    while (this.workers.length < this.size) {
      const free = { busy: false };
      this.begin(free);
      this.workers.push(free);
    }
  }

  /** A worker, told at once of the kernels, so that it is heard if it is not loaded. */
  begin(free) {
    const url = new URL("network_worker.js", import.meta.url);
    free.worker = new Worker(url, { type: "module" });
    free.loaded = new Set();
    free.started = asked(free.worker, { work: "start", module: this.module });
    free.started.catch(() => end(free));
  }

  /** What a worker finds; `model` is { name, graphs }. Not begun if `job` was
   * cancelled. */
  run(job, model, task, transfer) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ job, model, task, transfer, resolve, reject });
      this.next();
    });
  }

  next() {
    while (this.waiting.length) {
      const free = this.workers.find(({ busy }) => !busy);
      if (!free) return;
      const { job, model, task, transfer, resolve, reject } = this.waiting.shift();
      if (job.cancelled) reject(new Error("cancelled"));
      else this.give(free, model, task, transfer).then(resolve, reject);
    }
  }

  async give(free, model, task, transfer) {
    free.busy = true;
    try {
      if (!free.worker) this.begin(free);
      await free.started;
      if (!free.loaded.has(model.name)) {
        await asked(free.worker, {
          work: "load",
          name: model.name,
          graphs: model.graphs,
        });
        free.loaded.add(model.name);
      }
      return await asked(free.worker, { ...task, name: model.name }, transfer);
    } catch (error) {
      end(free); // what is in its memory is not known: another one takes its place
      throw error;
    } finally {
      free.busy = false;
      this.next();
    }
  }
}

function end(free) {
  free.worker?.terminate();
  free.worker = null;
}

function asked(worker, message, transfer = []) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) =>
      data.error ? reject(new Error(data.error)) : resolve(data.found);
    worker.onerror = (event) => reject(new Error(event.message || "a worker failed"));
    worker.postMessage(message, transfer);
  });
}

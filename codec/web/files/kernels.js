// kernels.wasm and its memory.

const READ_AHEAD_BYTES = 1 << 15; // more than any kernel reads beyond an array
const ALIGNMENT = 64;
const PAGE_BYTES = 65536;

// A module that only has a relaxed multiply-add, which not all browsers have.
const WITH_FMA = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 20, 1, 18, 0, 65,
  0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 11,
]);

function kernelsUrl() {
  const name = WebAssembly.validate(WITH_FMA) ? "kernels_fma.wasm" : "kernels.wasm";
  return new URL(name, import.meta.url);
}

/** The compiled module, which workers may share. */
export async function compileKernels() {
  const response = await fetch(kernelsUrl());
  if (!response.ok) throw new Error(`${response.url}: status ${response.status}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

/** The functions of kernels.c in `call`, and memory for what they work on. Addresses
 * are in bytes. */
export class Kernels {
  constructor(module) {
    this.memory = new WebAssembly.Memory({ initial: 16, maximum: 65536 });
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory: this.memory },
    });
    this.call = exports;
    this.free = [[exports.__heap_base.value, Infinity]]; // [start, end) in order
    this.sizes = new Map();
  }

  /** Address of new memory, whose content is arbitrary. */
  allocate(bytes) {
    const size = Math.max(1, Math.ceil(bytes / ALIGNMENT)) * ALIGNMENT; // an address each
    const place = this.free.find(([start, end]) => end - start >= size);
    const address = place[0];
    const missing = address + size + READ_AHEAD_BYTES - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE_BYTES)); // or it throws
    place[0] += size;
    this.sizes.set(address, size);
    return address;
  }

  release(address) {
    const end = address + this.sizes.get(address);
    this.sizes.delete(address);
    const at = this.free.findIndex(([start]) => start >= end);
    const next = this.free[at];
    const before = this.free[at - 1];
    if (next[0] === end) next[0] = address;
    else this.free.splice(at, 0, [address, end]);
    if (before && before[1] === address) {
      before[1] = this.free[at][1];
      this.free.splice(at, 1);
    }
  }

  /** A view, of the given typed array; no memory may be allocated while it is used. */
  view(kind, address, length) {
    return new kind(this.memory.buffer, address, length);
  }

  /** Address of a copy of a typed array. */
  put(array) {
    const address = this.allocate(array.byteLength);
    this.view(array.constructor, address, array.length).set(array);
    return address;
  }
}

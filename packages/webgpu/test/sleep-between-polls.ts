/**
 * Dawn's bindings wait for the device by asking it at every turn of the event loop. SwiftShader computes on the cores
 * that this takes, so every fourth question sleeps for a millisecond.
 */
const asleep = new Int32Array(new SharedArrayBuffer(4));
let turns = 0;
globalThis.setImmediate = new Proxy(setImmediate, {
  apply(target, self, args) {
    if (++turns % 4 === 0) Atomics.wait(asleep, 0, 0, 1);
    return Reflect.apply(target, self, args);
  },
});

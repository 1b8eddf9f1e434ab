import { report } from './gpu.js';

console.log(JSON.stringify(await report()));
// Dawn's bindings keep a process alive.
globalThis.process?.exit?.(0);

/**
 * A module that the host brings: in Node and what follows it (Bun, Deno); undefined elsewhere. Asked for as the code
 * runs and not imported, so one file serves every host, and no bundler has to be told which it is building for.
 */
export const builtin: NodeJS.Process['getBuiltinModule'] | undefined = isNode(globalThis.process)
  ? globalThis.process.getBuiltinModule
  : undefined;

function isNode(process: (Partial<NodeJS.Process> & { readonly type?: unknown }) | undefined): boolean {
  // Cloudflare's workers have Node's modules by name, and Electron's windows have them beside a browser's: neither has
  // Node's threads.
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers' || process?.type === 'renderer') return false;
  return process?.versions?.node !== undefined && typeof process.getBuiltinModule === 'function';
}

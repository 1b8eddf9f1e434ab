/**
 * Gives a module of the host, in Node and in hosts that follow it (Bun, Deno); undefined elsewhere. Such a module is
 * asked for as the code runs and not imported, so one file serves every host, and no bundler has to be told which host
 * it builds for.
 */
export const builtin: NodeJS.Process['getBuiltinModule'] | undefined = isNode(globalThis.process)
  ? globalThis.process.getBuiltinModule
  : undefined;

function isNode(process: (Partial<NodeJS.Process> & { readonly type?: unknown }) | undefined): boolean {
  // Cloudflare's workers have Node's modules by name, and Electron's windows have them beside a browser's, but neither
  // has Node's threads.
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers' || process?.type === 'renderer') return false;
  return process?.versions?.node !== undefined && typeof process.getBuiltinModule === 'function';
}

/**
 * Names that a server goes by: a page may point a name of its own at this machine, and its requests are told by their
 * Host alone.
 */

/**
 * A host as a URL would write it: in lower case, without the dot of the root, an address in its one canonical form.
 * Undefined where it is none.
 */
export function canonicalHost(host: string): string | undefined {
  const bare = host.replace(/^\[(.*:.*)\]$/, '$1');
  const text = bare.includes(':') ? `[${bare}]` : bare;
  // What a URL would take for something else than a host.
  if (/[\s/\\?#@,%]/.test(text)) return undefined;
  const url = parse(`http://${text}`);
  return url?.hostname.replace(/\.$/, '') || undefined;
}

/** The host of a Host header, without its port. */
export function hostOfHeader(header: string): string | undefined {
  const [, host] = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(header) ?? [];
  return canonicalHost(host ?? header);
}

/** Whether a name or address means this machine, on any resolver: `localhost` and names below it, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  const name = canonicalHost(host);
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  // An IPv4 address in an IPv6 one is written in two groups of hex digits.
  return /^127\.\d+\.\d+\.\d+$/.test(name) || name === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\]$/.test(name);
}

/**
 * What requests may call the server: every name of this machine, and those that are allowed. A server that others reach
 * may be called anything, unless names are allowed.
 */
export function hostGuard(bound: string, allowed: readonly string[]): (header: string) => boolean {
  const names = new Set(allowed.map((host) => canonicalHost(host)));
  if (!isLoopback(bound) && names.size === 0) return () => true;
  names.add(canonicalHost(bound));
  return (header) => {
    const host = hostOfHeader(header);
    return host !== undefined && (names.has(host) || isLoopback(host));
  };
}

function parse(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}

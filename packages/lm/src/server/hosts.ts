/**
 * Checks the Host header against DNS rebinding: a page can make its own name resolve to this machine, and only the
 * header shows it.
 */

/**
 * A host as a URL writes it: in lower case, without a trailing dot, addresses in canonical form. Undefined if it is not
 * a host.
 */
export function canonicalHost(host: string): string | undefined {
  const bare = host.replace(/^\[(.*:.*)\]$/, '$1');
  const text = bare.includes(':') ? `[${bare}]` : bare;
  // A URL would read these characters as other parts.
  if (/[\s/\\?#@,%]/.test(text)) return undefined;
  const url = parse(`http://${text}`);
  return url?.hostname.replace(/\.$/, '') || undefined;
}

/** The host of a Host header, without its port. */
function hostOfHeader(header: string): string | undefined {
  const [, host] = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(header) ?? [];
  return canonicalHost(host ?? header);
}

/** Whether a host is this machine for every resolver: `localhost` and names below it, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  const name = canonicalHost(host);
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  // An IPv4-mapped IPv6 address is written as two groups of hex digits.
  return /^127\.\d+\.\d+\.\d+$/.test(name) || name === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\]$/.test(name);
}

/**
 * Returns the check of a Host header. Loopback hosts, the bound host and the allowed hosts pass; if the server is not
 * bound to loopback and no host is allowed, all pass.
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

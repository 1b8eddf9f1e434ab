import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';

/** Lets pages of these origins read answers. */
export function crossOrigin(origins: readonly string[]): MiddlewareHandler {
  const any = origins.includes('*');
  const allow = cors({
    origin: any ? '*' : [...origins],
    allowMethods: ['GET', 'POST', 'DELETE', 'OPTIONS'],
    exposeHeaders: ['Retry-After'],
    maxAge: 600,
  });
  return async (c, next) => {
    const origin = c.req.header('origin');
    const allowed = origin !== undefined && (any || origins.includes(origin));
    // Private Network Access: pages from the internet ask before they reach a private address.
    if (allowed && c.req.header('access-control-request-private-network') === 'true')
      c.header('Access-Control-Allow-Private-Network', 'true');
    return allow(c, next);
  };
}

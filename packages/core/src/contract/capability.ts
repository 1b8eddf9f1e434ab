/** Capability is a question about a concrete thing, answered yes, or no with the reason. */
export type Support = { readonly supported: true } | { readonly supported: false; readonly reason: string };

export const supported: Support = Object.freeze({ supported: true });

export function unsupported(reason: string): Support {
  return { supported: false, reason };
}

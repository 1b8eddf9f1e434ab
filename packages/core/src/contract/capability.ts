/** The answer to a question about a concrete call or tensor: yes, or no with the reason. */
export type Support = { readonly supported: true } | { readonly supported: false; readonly reason: string };

export const supported: Support = Object.freeze({ supported: true });

export function unsupported(reason: string): Support {
  return { supported: false, reason };
}

/** The answer to a question about a concrete call or tensor: yes, or no with the reason. */
export type Support = { readonly supported: true } | { readonly supported: false; readonly reason: string };

/** The answer yes. */
export const supported: Support = Object.freeze({ supported: true });

/** The answer no, with the reason: it says what was asked for, and what there is. */
export function unsupported(reason: string): Support {
  return { supported: false, reason };
}

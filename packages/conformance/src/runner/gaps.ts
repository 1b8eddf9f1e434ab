/** A deviation that is known: stands as data beside the backend. */
export interface KnownGap {
  /** Id of the check. */
  readonly case: string;
  readonly reason: string;
}

/** Gaps that name no check of the suite: each is an error, since a stale gap hides nothing and misleads. */
export function unknownGaps(gaps: readonly KnownGap[], ids: Iterable<string>): readonly KnownGap[] {
  const known = new Set(ids);
  return gaps.filter((gap) => !known.has(gap.case));
}

export const GAP_CLOSED = 'passes, but is listed as a known gap: remove it from the gaps';
export const GAP_UNKNOWN = 'is listed as a known gap, but no check has this id';
